#include "router/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct http_slice slice(const char *text)
{
        return (struct http_slice) { text, strlen(text) };
}

static struct servers make_servers(bool has_default)
{
        struct servers servers = {};
        struct ipc_server lake = { .name = "lake", .transport = TRANSPORT_STDIO, .is_default = has_default };
        struct ipc_server web = { .name = "web", .transport = TRANSPORT_HTTP };

        assert_int_equal(servers_put(&servers, &web), 0);
        assert_int_equal(servers_put(&servers, &lake), 0);
        return servers;
}

static void test_servers_are_found_whatever_their_order(void **state)
{
        struct servers servers = {};

        for (unsigned i = 0; i < 100; i++) {
                struct ipc_server server = {};

                (void) snprintf(server.name, sizeof(server.name), "s%u", i * 37 % 100);
                assert_int_equal(servers_put(&servers, &server), 0);
        }
        struct ipc_server again = {
                .name = "s42", .keys = 6, .era = ERA_LEGACY, .keyless = KEYLESS_REJECT, .meta_key = "a/b",
        };

        assert_int_equal(servers_put(&servers, &again), 0);
        assert_int_equal(servers.n_items, 100);
        const struct server *s42 = servers_find(&servers, slice("s42"));

        assert_int_equal(s42->keys, 6);
        assert_int_equal(s42->era, ERA_LEGACY);
        assert_int_equal(s42->keyless, KEYLESS_REJECT);
        assert_string_equal(s42->meta_key, "a/b");
        assert_string_equal(servers_find(&servers, slice("s9"))->name, "s9");
        assert_null(servers_find(&servers, slice("s")));
        assert_null(servers_find(&servers, slice("s420")));
        assert_null(servers_default(&servers));
        servers_done(&servers);
}

struct expectation {
        const char *target;
        int result;
        enum route_kind kind;
        const char *server, *key, *rest, *query;
};

static void check(const struct servers *servers, const struct expectation *e)
{
        struct route route;
        int r = route_find(servers, slice(e->target), &route);

        if (r != e->result)
                fail_msg("%s: %d", e->target, r);
        if (r < 0)
                return;
        assert_int_equal(route.kind, e->kind);
        if (!e->server) {
                assert_null(route.server);
                return;
        }
        assert_string_equal(route.server->name, e->server);
        if (e->key)
                assert_true(http_slice_is(route.key, e->key));
        else
                assert_null(route.key.data);
        if (e->rest && !http_slice_is(route.rest, e->rest))
                fail_msg("%s: rest is %.*s", e->target, (int) route.rest.size, route.rest.data);
        assert_true(http_slice_is(route.query, e->query ?: ""));
}

static void test_paths_with_a_default_server(void **state)
{
        static const struct expectation expectations[] = {
                { .target = "/healthz", .kind = ROUTE_HEALTH },
                { .target = "/readyz?x", .kind = ROUTE_READY },
                { .target = "/mcp", .kind = ROUTE_MCP, .server = "lake", .rest = "/mcp" },
                { .target = "/mcp/", .kind = ROUTE_MCP, .server = "lake", .rest = "/mcp/" },
                { .target = "/mcp?seed=7&x=%20", .kind = ROUTE_MCP,
                  .server = "lake", .rest = "/mcp?seed=7&x=%20", .query = "seed=7&x=%20" },
                { .target = "/lake/mcp", .kind = ROUTE_MCP, .server = "lake", .rest = "/mcp" },
                { .target = "/web/mcp/?q", .kind = ROUTE_MCP, .server = "web", .rest = "/mcp/?q", .query = "q" },
                { .target = "/%77eb/mcp", .kind = ROUTE_MCP, .server = "web", .rest = "/mcp" },
                { .target = "/s/k%201/mcp", .kind = ROUTE_MCP, .server = "lake", .key = "k%201", .rest = "/mcp" },
                { .target = "/web/s/k/mcp", .kind = ROUTE_MCP, .server = "web", .key = "k", .rest = "/mcp" },
                { .target = "/sse?seed=1", .kind = ROUTE_SSE, .server = "lake", .rest = "/sse?seed=1", .query = "seed=1" },
                { .target = "/message?sessionId=1", .kind = ROUTE_MESSAGE, .server = "lake", .query = "sessionId=1" },
                { .target = "/web/s/k/sse/", .kind = ROUTE_SSE, .server = "web", .key = "k", .rest = "/sse/" },
                { .target = "/lake/message", .kind = ROUTE_MESSAGE, .server = "lake", .rest = "/message" },
                { .target = "/web/message?sessionId=1", .kind = ROUTE_MESSAGE,
                  .server = "web", .rest = "/message?sessionId=1", .query = "sessionId=1" },
                { .target = "/web/message", .kind = ROUTE_OTHER, .server = "web", .rest = "/message" },
                { .target = "/s/k", .kind = ROUTE_SESSION, .server = "lake", .key = "k" },
                { .target = "/web/s/k?x=1", .kind = ROUTE_SESSION, .server = "web", .key = "k", .query = "x=1" },
                { .target = "/web/s/k/reset", .kind = ROUTE_RESET, .server = "web", .key = "k" },
                { .target = "/web/control/reward?a=%2F", .kind = ROUTE_OTHER,
                  .server = "web", .rest = "/control/reward?a=%2F", .query = "a=%2F" },
                { .target = "/web/s/k/control/reward", .kind = ROUTE_OTHER,
                  .server = "web", .key = "k", .rest = "/control/reward" },
                { .target = "/web/", .kind = ROUTE_OTHER, .server = "web", .rest = "/" },
                { .target = "/web/mcp/more", .kind = ROUTE_OTHER, .server = "web", .rest = "/mcp/more" },
                { .target = "/web", .result = -ENOENT },
                { .target = "/lake/control/reward", .result = -ENOENT }, /* stdio: nothing there to ask */
                { .target = "/control/reward", .result = -ENOENT },
                { .target = "/nosuch/mcp", .result = -ENOENT },
                { .target = "/lake/../web/mcp", .result = -ENOENT },
                { .target = "/", .result = -ENOENT },
                { .target = "*", .result = -ENOENT },
                { .target = "/s//mcp", .result = -ENOENT },
                { .target = "/s", .result = -ENOENT },
        };
        struct servers servers = make_servers(true);

        for (size_t i = 0; i < ELEMENTSOF(expectations); i++)
                check(&servers, &expectations[i]);
        servers_done(&servers);
}

static void test_paths_without_a_default_server(void **state)
{
        static const struct expectation expectations[] = {
                { .target = "/mcp", .result = -ENOENT },
                { .target = "/s/k/mcp", .result = -ENOENT },
                { .target = "/s/k", .result = -ENOENT },
                { .target = "/lake/mcp", .kind = ROUTE_MCP, .server = "lake", .rest = "/mcp" },
        };
        struct servers servers = make_servers(false);

        for (size_t i = 0; i < ELEMENTSOF(expectations); i++)
                check(&servers, &expectations[i]);
        servers_done(&servers);
}

static void test_other_paths_of_a_default_http_server(void **state)
{
        static const struct expectation expectations[] = {
                { .target = "/control/reward", .kind = ROUTE_OTHER, .server = "web", .rest = "/control/reward" },
                { .target = "/", .kind = ROUTE_OTHER, .server = "web", .rest = "/" },
                { .target = "/s/k/control/reward", .kind = ROUTE_OTHER,
                  .server = "web", .key = "k", .rest = "/control/reward" },
        };
        struct servers servers = {};
        struct ipc_server web = { .name = "web", .transport = TRANSPORT_HTTP, .is_default = 1 };

        assert_int_equal(servers_put(&servers, &web), 0);
        for (size_t i = 0; i < ELEMENTSOF(expectations); i++)
                check(&servers, &expectations[i]);
        servers_done(&servers);
}

static void check_prefix(const char *target, const char *prefix)
{
        struct servers servers = make_servers(true);
        struct route route;

        assert_int_equal(route_find(&servers, slice(target), &route), 0);
        assert_true(http_slice_is(route_prefix(&route, slice(target)), prefix));
        servers_done(&servers);
}

static void test_prefix_is_what_stands_before_the_path(void **state)
{
        check_prefix("/sse", "");
        check_prefix("/lake/sse", "/lake");
        check_prefix("/%77eb/s/k%201/sse?x=1", "/%77eb/s/k%201");
}

static void test_methods_of_a_path(void **state)
{
        assert_true(route_allows(ROUTE_MCP, HTTP_POST));
        assert_false(route_allows(ROUTE_MCP, HTTP_PUT));
        assert_false(route_allows(ROUTE_MCP, HTTP_OTHER));
        assert_true(route_allows(ROUTE_OTHER, HTTP_OTHER));
        assert_true(route_allows(ROUTE_SESSION, HTTP_PUT));
        assert_false(route_allows(ROUTE_SESSION, HTTP_POST));
        assert_true(route_allows(ROUTE_RESET, HTTP_POST));
        assert_true(route_allows(ROUTE_SSE, HTTP_GET));
        assert_false(route_allows(ROUTE_SSE, HTTP_POST));
        assert_true(route_allows(ROUTE_MESSAGE, HTTP_POST));
        assert_false(route_allows(ROUTE_MESSAGE, HTTP_DELETE));
        assert_string_equal(route_methods(ROUTE_MCP), "GET, POST, DELETE");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_servers_are_found_whatever_their_order),
                cmocka_unit_test(test_paths_with_a_default_server),
                cmocka_unit_test(test_paths_without_a_default_server),
                cmocka_unit_test(test_other_paths_of_a_default_http_server),
                cmocka_unit_test(test_prefix_is_what_stands_before_the_path),
                cmocka_unit_test(test_methods_of_a_path),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
