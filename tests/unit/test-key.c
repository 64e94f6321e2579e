#include "router/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define HEADER(name_, value_) { .name = { name_, sizeof(name_) - 1 }, .value = { value_, sizeof(value_) - 1 } }

static int read_key_as(bool is_modern, const struct http_header *headers, size_t n, const char *path_key,
                       struct request_key *ret)
{
        struct http_head head = { .headers = headers, .n_headers = n };
        struct http_slice encoded = { path_key, path_key ? strlen(path_key) : 0 };
        const char *why = NULL;
        int r = key_of_request(&head, encoded, "Envmux-Session", is_modern, ret, &why);

        if (r == -EINVAL)
                assert_non_null(why);
        return r;
}

static int read_key(const struct http_header *headers, size_t n, const char *path_key, struct request_key *ret)
{
        return read_key_as(false, headers, n, path_key, ret);
}

static const struct http_header all[] = {
        HEADER("envmux-session", "from-header"),
        HEADER("MCP-Session-Id", "from-transport"),
};

static void test_path_before_header_before_transport(void **state)
{
        struct request_key key;

        assert_int_equal(read_key(all, 2, "from%2Dpath", &key), 0);
        assert_int_equal(key.kind, KEY_NAMED);
        assert_string_equal(key.value, "from-path");
        assert_true(key.carries_transport_id);

        assert_int_equal(read_key(all, 2, NULL, &key), 0);
        assert_int_equal(key.kind, KEY_NAMED);
        assert_string_equal(key.value, "from-header");
        assert_true(key.carries_transport_id);

        assert_int_equal(read_key(all + 1, 1, NULL, &key), 0);
        assert_int_equal(key.kind, KEY_TRANSPORT);
        assert_string_equal(key.value, "from-transport");

        assert_int_equal(read_key(all, 1, NULL, &key), 0);
        assert_false(key.carries_transport_id);

        assert_int_equal(read_key(NULL, 0, NULL, &key), 0);
        assert_int_equal(key.kind, 0);
}

static void test_keys_given_twice_are_refused(void **state)
{
        static const struct http_header named[] = { HEADER("Envmux-Session", "a"), HEADER("Envmux-Session", "a") };
        static const struct http_header transport[] = { HEADER("Mcp-Session-Id", "a"), HEADER("mcp-session-id", "b") };
        struct request_key key;

        assert_int_equal(read_key(named, 2, NULL, &key), -EINVAL);
        assert_int_equal(read_key(transport, 2, NULL, &key), -EINVAL);
        assert_int_equal(read_key(transport, 2, "path", &key), -EINVAL);
}

static void test_unusable_keys(void **state)
{
        static const struct http_header empty[] = { HEADER("Envmux-Session", "") };
        static const struct http_header spaced[] = { HEADER("Mcp-Session-Id", "a b") };
        struct request_key key;

        assert_int_equal(read_key(empty, 1, NULL, &key), -EINVAL);
        assert_int_equal(read_key(spaced, 1, NULL, &key), -ENOENT);
        assert_int_equal(read_key(NULL, 0, "a%20b", &key), -EINVAL);
        assert_int_equal(read_key(NULL, 0, "%c3%a9", &key), -EINVAL);
        assert_int_equal(read_key(NULL, 0, "%00", &key), -EINVAL);
        assert_int_equal(read_key(NULL, 0, "%zz", &key), -EINVAL);
}

static void test_length_limit(void **state)
{
        char text[IPC_KEY_SIZE + 1];
        struct request_key key;

        memset(text, 'k', sizeof(text));
        text[IPC_KEY_SIZE - 1] = '\0';
        assert_int_equal(read_key(NULL, 0, text, &key), 0);
        assert_string_equal(key.value, text);
        text[IPC_KEY_SIZE - 1] = 'k';
        text[IPC_KEY_SIZE] = '\0';
        assert_int_equal(read_key(NULL, 0, text, &key), -EINVAL);
}

static void test_stateless_requests_have_no_transport_id(void **state)
{
        static const struct http_header bad[] = { HEADER("Mcp-Session-Id", "a b"), HEADER("Mcp-Session-Id", "c") };
        struct request_key key;

        assert_int_equal(read_key_as(true, all + 1, 1, NULL, &key), 0);
        assert_int_equal(key.kind, 0);
        assert_false(key.carries_transport_id);
        assert_int_equal(read_key_as(true, bad, 2, NULL, &key), 0);
        assert_int_equal(key.kind, 0);
        assert_int_equal(read_key_as(true, all, 2, NULL, &key), 0);
        assert_int_equal(key.kind, KEY_NAMED);
}

/* ---- what bodies say ---- */

static struct jsonrpc_message parse(const char *text)
{
        struct jsonrpc_message message;

        assert_int_equal(jsonrpc_parse(text, strlen(text), &message), 0);
        return message;
}

static int read_meta(const char *body, struct request_key *ret)
{
        const struct server server = { .keys = 1u << KEY_META, .meta_key = "openai/session" };
        const struct jsonrpc_message message = parse(body);
        const char *why = NULL;
        int r = key_of_meta(&server, &message, ret, &why);

        if (r == -EINVAL)
                assert_non_null(why);
        return r;
}

#define CALL(method, params) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":" params "}"
#define META(value) CALL("x", "{\"_meta\":{\"openai/session\":" value "}}")

static void test_an_entry_of_meta(void **state)
{
        struct request_key key = { .kind = KEY_TRANSPORT, .value = "before" };

        assert_int_equal(read_meta(CALL("x", "{}"), &key), -ENOENT);
        assert_int_equal(read_meta(CALL("x", "[]"), &key), -ENOENT);
        assert_int_equal(read_meta(CALL("x", "{\"_meta\":[]}"), &key), -ENOENT);
        assert_int_equal(read_meta("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", &key), -ENOENT);
        assert_int_equal(read_meta(META("7"), &key), -ENOENT);
        assert_int_equal(read_meta(META("null"), &key), -ENOENT);
        assert_int_equal(key.kind, KEY_TRANSPORT);
        assert_string_equal(key.value, "before");

        assert_int_equal(read_meta(META("\"v1/\\u0061bc\""), &key), 0);
        assert_int_equal(key.kind, KEY_META);
        assert_string_equal(key.value, "v1/abc");

        assert_int_equal(read_meta(META("\"\""), &key), -EINVAL);
        assert_int_equal(read_meta(META("\"a b\""), &key), -EINVAL);
        assert_int_equal(read_meta(META("\"\\u00e9\""), &key), -EINVAL);
        assert_int_equal(read_meta(META("\"a\\u0000\""), &key), -EINVAL);
}

static void test_an_entry_of_meta_has_a_longest_size(void **state)
{
        char body[1024], text[IPC_KEY_SIZE + 1] = "";
        struct request_key key;

        memset(text, 'k', IPC_KEY_SIZE - 1);
        (void) snprintf(body, sizeof(body), META("\"%s\""), text);
        assert_int_equal(read_meta(body, &key), 0);
        assert_string_equal(key.value, text);
        text[IPC_KEY_SIZE - 1] = 'k';
        (void) snprintf(body, sizeof(body), META("\"%s\""), text);
        assert_int_equal(read_meta(body, &key), -EINVAL);
}

static void test_an_entry_of_meta_only_where_the_server_names_one(void **state)
{
        const struct jsonrpc_message message = parse(CALL("x", "{\"_meta\":{\"\":\"k\"}}"));
        const struct server server = { .keys = 1u << KEY_NAMED };
        struct request_key key = {};
        const char *why;

        assert_int_equal(key_of_meta(&server, &message, &key, &why), -ENOENT);
        assert_int_equal(key.kind, 0);
}

static void test_ways_to_name_a_session(void **state)
{
        char text[KEY_WAYS_SIZE];
        struct server server = { .keys = 1u << KEY_TRANSPORT };

        assert_null(key_ways(&server, "Envmux-Session", text));
        server.keys |= 1u << KEY_NAMED;
        assert_string_equal(key_ways(&server, "X-Key", text), "by /s/KEY in the path, or by the header X-Key");
        strcpy(server.meta_key, "openai/session");
        assert_string_equal(key_ways(&server, "X-Key", text), "by /s/KEY in the path, or by the header X-Key, "
                                                              "or by the string params._meta[\"openai/session\"]");
        server.keys = 1u << KEY_META;
        assert_string_equal(key_ways(&server, "X-Key", text), "by the string params._meta[\"openai/session\"]");
}

static int read_client(unsigned keys, const char *client_info, struct request_key *ret)
{
        const struct server server = { .keys = keys };
        struct json_slice value = {};

        if (client_info)
                assert_int_equal(json_validate(client_info, strlen(client_info), &value), 0);
        return key_of_client(&server, value, ret);
}

static void test_the_identity_of_a_client(void **state)
{
        static const char info[] = "{\"name\":\"c\",\"version\":\"1\",\"_extra\":{\"session_id\":\"mine\"}}";
        struct request_key key = {};

        assert_int_equal(read_client(1u << KEY_NAMED, info, &key), -ENOENT);
        assert_int_equal(read_client(1u << KEY_CLIENT, NULL, &key), -ENOENT);
        assert_int_equal(read_client(1u << KEY_CLIENT, "{\"name\":\"c\",\"version\":\"1\"}", &key), -ENOENT);
        assert_int_equal(key.kind, 0);
        assert_int_equal(read_client(1u << KEY_CLIENT, info, &key), 0);
        assert_int_equal(key.kind, KEY_CLIENT);
        assert_string_equal(key.value, "mine");
}

static int read_handle(const char *body, struct request_key *ret)
{
        const struct jsonrpc_message message = parse(body);

        return key_of_handle(&message, ret);
}

static void test_handles(void **state)
{
        static const char *const with_task[] = {
                CALL("tasks/get", "{\"taskId\":\"t\"}"), CALL("tasks/update", "{\"taskId\":\"t\"}"),
                CALL("tasks/cancel", "{\"taskId\":\"\\u0074\",\"requestState\":\"s\"}"),
        };
        static const char *const without[] = {
                CALL("tools/call", "{\"taskId\":\"t\"}"), CALL("tools/call", "{\"requestState\":7}"),
                CALL("tools/call", "{\"requestState\":\"\"}"), CALL("tasks/get", "{\"requestState\":\"s\"}"),
                CALL("tools/call", "[]"), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}",
        };
        struct request_key key = {}, first;

        for (size_t i = 0; i < ELEMENTSOF(without); i++)
                assert_int_equal(read_handle(without[i], &key), -ENOENT);
        assert_int_equal(key.kind, 0);
        assert_int_equal(read_handle(with_task[0], &first), 0);
        assert_int_equal(first.kind, KEY_HANDLE);
        for (size_t i = 1; i < ELEMENTSOF(with_task); i++) {
                assert_int_equal(read_handle(with_task[i], &key), 0);
                assert_string_equal(key.value, first.value);
        }
        assert_int_equal(read_handle(CALL("tools/call", "{\"requestState\":\"t\"}"), &key), 0);
        assert_int_equal(key.kind, KEY_HANDLE);
        assert_string_not_equal(key.value, first.value); /* of another kind */
}

static void test_minted_ids_are_fresh_hex(void **state)
{
        char a[KEY_MINTED_SIZE], b[KEY_MINTED_SIZE];

        assert_int_equal(key_mint(a), 0);
        assert_int_equal(key_mint(b), 0);
        assert_int_equal(strlen(a), 32);
        assert_int_equal(strspn(a, "0123456789abcdef"), 32);
        assert_string_not_equal(a, b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_path_before_header_before_transport),
                cmocka_unit_test(test_keys_given_twice_are_refused),
                cmocka_unit_test(test_unusable_keys),
                cmocka_unit_test(test_length_limit),
                cmocka_unit_test(test_stateless_requests_have_no_transport_id),
                cmocka_unit_test(test_an_entry_of_meta),
                cmocka_unit_test(test_an_entry_of_meta_has_a_longest_size),
                cmocka_unit_test(test_an_entry_of_meta_only_where_the_server_names_one),
                cmocka_unit_test(test_ways_to_name_a_session),
                cmocka_unit_test(test_the_identity_of_a_client),
                cmocka_unit_test(test_handles),
                cmocka_unit_test(test_minted_ids_are_fresh_hex),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
