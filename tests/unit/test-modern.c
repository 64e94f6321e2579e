/* What a stateless request must say, whose a message of its backend is, and what a listener asked for. */

#include "worker/handles.h"
#include "worker/listen.h"
#include "worker/modern_check.h"
#include "worker/modern_header.h"
#include "worker/modern_params.h"
#include "worker/modern_placement.h"
#include "worker/tool_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct json_slice slice(const char *text)
{
        struct json_slice value;

        assert_int_equal(json_validate(text, strlen(text), &value), 0);
        return value;
}

static struct http_slice header(const char *text)
{
        return (struct http_slice) { .data = text, .size = strlen(text) };
}

static struct jsonrpc_message message(const char *text)
{
        struct jsonrpc_message parsed;

        assert_int_equal(jsonrpc_parse(text, strlen(text), &parsed), 0);
        return parsed;
}

static void test_header_decode(_unused_ void **state)
{
        static const struct {
                const char *value, *text; /* text NULL: refused */
        } rows[] = {
                { "plain", "plain" },
                { "", "" },
                { "a\tb c", "a\tb c" },
                { "=?base64?d8Opc3Q=?=", "w\xc3\xa9st" },
                { "=?base64?" "?=", "" },
                { "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?=" },
                { "=?BASE64?d8Opc3Q=?=", "=?BASE64?d8Opc3Q=?=" },
                { "=?base64?d8Opc3Q?=", NULL },     /* padding is missing */
                { "=?base64?d8Opc3Q=", "=?base64?d8Opc3Q=" },
                { "=?base64?d8=pc3Q=?=", NULL },
                { "=?base64?====?=", NULL },
                { "=?base64?/w==?=", NULL },        /* no UTF-8 */
                { "=?base64?_w==?=", NULL },
                { "w\xc3\xa9st", NULL },
                { "a\x01", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *text = NULL;
                size_t size;
                int r = modern_header_decode(header(rows[i].value), &text, &size);

                assert_int_equal(r, rows[i].text ? 0 : -EBADMSG);
                if (rows[i].text) {
                        assert_string_equal(text, rows[i].text);
                        assert_int_equal(size, strlen(rows[i].text));
                }
        }
}

static void test_header_fits(_unused_ void **state)
{
        static const struct {
                const char *value, *body;
                bool fits;
        } rows[] = {
                { "west", "\"west\"", true },       { "west", "\"\\u0077est\"", true }, { "west", "\"West\"", false },
                { "west", "\"wes\"", false },       { "wes", "\"west\"", false },       { "", "\"\"", true },
                { "42", "42", true },               { "42.0", "42", true },             { "42", "4.2e1", true },
                { "-7", "-7", true },               { "43", "42", false },              { "0x2a", "42", false },
                { "4.2e1", "42", false },           { "", "0", false },                 { "42.", "42", false },
                { "true", "true", true },           { "True", "true", false },          { "true", "\"true\"", true },
                { "null", "null", false },          { "[]", "[]", false },
                { "=?base64?NDI=?=", "42", true },  { "=?base64?7aCA?=", "\"\\ud800\"", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_int_equal(modern_header_fits(header(rows[i].value), slice(rows[i].body)), rows[i].fits);
}

static const char *params(const char *schema, const char *arguments, const struct http_header *headers, size_t n)
{
        static char name[MODERN_PARAM_HEADER_SIZE];
        struct http_head head = { .headers = headers, .n_headers = n };
        bool is_missing;

        return modern_params_check(&head, slice(schema), slice(arguments), name, &is_missing) < 0 ? name : NULL;
}

static void test_params(_unused_ void **state)
{
        static const char schema[] =
                "{\"properties\":{\"a\":{\"x-mcp-header\":\"A\",\"type\":\"string\"},"
                "\"d\":{\"properties\":{\"a\":{\"x-mcp-header\":\"D\"},\"e\":{\"properties\":{\"f\":{\"x-mcp-header\":\"F\"}}}}},"
                "\"l\":{\"items\":{\"properties\":{\"a\":{\"x-mcp-header\":\"L\"}}}}}}";
        const struct http_header right[] = {
                { .name = header("mcp-param-a"), .value = header("1") },
                { .name = header("Mcp-Param-D"), .value = header("2") },
                { .name = header("Mcp-Param-F"), .value = header("3") },
                { .name = header("Mcp-Param-F"), .value = header("3") },
        };

        assert_null(params(schema, "{}", NULL, 0));
        assert_null(params(schema, "{\"a\":null,\"l\":[{\"a\":1}],\"d\":7}", NULL, 0));
        assert_null(params(schema, "{\"a\":\"1\",\"d\":{\"a\":\"2\",\"e\":{\"f\":\"3\"}}}", right, 3));
        assert_null(params("{}", "{\"a\":\"1\"}", NULL, 0));
        assert_null(params("[]", "{\"a\":\"1\"}", NULL, 0));
        assert_string_equal(params(schema, "{\"a\":\"1\"}", NULL, 0), "Mcp-Param-A");
        assert_string_equal(params(schema, "{\"a\":\"2\"}", right, 3), "Mcp-Param-A");
        assert_string_equal(params(schema, "{\"d\":{\"a\":\"3\"}}", right, 3), "Mcp-Param-D");
        assert_string_equal(params(schema, "{\"d\":{\"e\":{\"f\":\"2\"}}}", right, 3), "Mcp-Param-F");
        assert_string_equal(params(schema, "{\"d\":{\"e\":{\"f\":\"3\"}}}", right, 4), "Mcp-Param-F");
}

/* A schema nested as deep as JSON may be is walked, not recursed into. */
static void test_params_deep(_unused_ void **state)
{
        char schema[4096] = "", arguments[2048] = "";
        size_t depth = (JSON_DEPTH_MAX - 4) / 2;

        for (size_t i = 0; i < depth; i++) {
                strcat(schema, "{\"properties\":{\"a\":");
                strcat(arguments, "{\"a\":");
        }
        strcat(schema, "{\"x-mcp-header\":\"Deep\"}");
        strcat(arguments, "1");
        for (size_t i = 0; i < depth; i++) {
                strcat(schema, "}}");
                strcat(arguments, "}");
        }
        assert_string_equal(params(schema, arguments, NULL, 0), "Mcp-Param-Deep");
}

static void test_tool_list(_unused_ void **state)
{
        struct json_slice schema;
        struct tool_list list;

        tool_list_init(&list);
        tool_list_add(&list, slice("[{\"name\":\"a\",\"inputSchema\":{\"properties\":{\"x\":{\"x-mcp-header\":\"X\"}}}},"
                                   "{\"name\":\"b\",\"inputSchema\":{}},{\"name\":\"c\"},{},7]"));
        assert_int_equal(list.n, 3);
        assert_int_equal(tool_list_find(&list, slice("\"a\""), &schema), 0);
        assert_true(schema.size > 0);
        assert_int_equal(tool_list_find(&list, slice("\"\\u0062\""), &schema), 0);
        assert_int_equal(schema.size, 0);
        assert_int_equal(tool_list_find(&list, slice("\"c\""), &schema), 0);
        assert_int_equal(tool_list_find(&list, slice("\"d\""), &schema), -ENOENT);
        for (size_t i = 0; i < TOOL_LIST_MAX; i++)
                tool_list_add(&list, slice("[{\"name\":\"more\"}]"));
        assert_int_equal(list.n, TOOL_LIST_MAX);
        assert_true(list.is_cut);
        tool_list_clear(&list);
        assert_int_equal(list.n, 0);
}

static void test_listen(_unused_ void **state)
{
        struct jsonrpc_message request = message(
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscriptions/listen\",\"params\":{\"notifications\":{"
                "\"toolsListChanged\":true,\"promptsListChanged\":false,\"resourceSubscriptions\":[\"a\"],"
                "\"taskIds\":[\"t\"]}}}");
        static const struct {
                const char *method, *params;
                bool is_wanted;
        } rows[] = {
                { "notifications/tools/list_changed", "{}", true },
                { "notifications/prompts/list_changed", "{}", false },
                { "notifications/resources/list_changed", "{}", false },
                { "notifications/resources/updated", "{\"uri\":\"a\"}", true },
                { "notifications/resources/updated", "{\"uri\":\"b\"}", false },
                { "notifications/resources/updated", "{}", false },
                { "notifications/tasks", "{\"taskId\":\"t\"}", true },
                { "notifications/message", "{}", false },
        };
        struct listen *listen;

        assert_int_equal(listen_new(&request, &listen), 0);
        for (unsigned round = 0; round < 2; round++) {
                for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                        _cleanup_free_ char *text = NULL;

                        assert_true(asprintf(&text, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":%s}",
                                             rows[i].method, rows[i].params) > 0);
                        struct jsonrpc_message notification = message(text);

                        assert_int_equal(listen_wants(listen, &notification), round == 1 && rows[i].is_wanted);
                }
                listen_acknowledge(listen);
        }
        listen_free(listen);
}

/* Calls with ids 0 to 3 of four clients: the second one listens, the third takes messages from warning on, and
 * nobody waits for the fourth. */
struct fixture {
        struct event_base *base;
        struct calls *calls;
        struct call *call[4];
};

static char streams[4];

static void on_deadline(struct call *call, void *userdata)
{
        struct fixture *f = userdata;

        calls_remove(f->calls, call);
}

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        struct jsonrpc_message listen = message("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"subscriptions/listen\"}");

        f->base = event_base_new();
        assert_int_equal(calls_new(f->base, on_deadline, f, &f->calls), 0);
        for (size_t i = 0; i < ELEMENTSOF(f->call); i++) {
                assert_int_equal(calls_add(f->calls, slice("0"), slice("0"), false, USEC_INFINITY, &f->call[i]), 0);
                f->call[i]->is_modern = true;
                f->call[i]->stream = i < 3 ? (struct stream *) (void *) &streams[i] : NULL;
        }
        assert_int_equal(listen_new(&listen, &f->call[1]->listen), 0);
        f->call[2]->log_level = 3;
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        calls_free(f->calls);
        event_base_free(f->base);
        free(f);
        return 0;
}

/* The call that a notification goes to: its number, -1: none, 9: every listener. In its parameters @ stands for
 * the id, or the token, of call n on the wire. */
static int place(const struct fixture *f, const char *method, const char *params, unsigned n, bool is_token)
{
        _cleanup_free_ char *text = NULL;
        const struct token *wire = is_token ? &f->call[n]->wire_progress : &f->call[n]->wire_id;

        const char *at = strchr(params, '@');

        assert_true(asprintf(&text, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/%s\",\"params\":%.*s%.*s%s}",
                             method, (int) (at - params), params, (int) wire->size, wire->data, at + 1) > 0);
        struct jsonrpc_message notification = message(text);
        struct placement placement = modern_placement_of(&notification, f->calls);

        for (size_t i = 0; placement.where == PLACE_CALL && i < ELEMENTSOF(f->call); i++)
                if (placement.call == f->call[i])
                        return (int) i;
        return placement.where == PLACE_ALL ? 9 : -1;
}

#define TAGGED "{\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":@}}"
#define LEVEL(level) "{\"_\":[@],\"level\":\"" level "\"}"

static void test_placement(void **state)
{
        const struct fixture *f = *state;

        for (unsigned n = 0; n < 4; n++) {
                assert_int_equal(place(f, "progress", "{\"progressToken\":@}", n, true), n < 3 ? (int) n : -1);
                assert_int_equal(place(f, "any", TAGGED, n, false), n < 3 ? (int) n : -1);
                assert_int_equal(place(f, "cancelled", "{\"requestId\":@}", n, false), n == 1 ? 1 : -1);
        }
        assert_int_equal(place(f, "progress", "{\"progressToken\":\"@\"}", 0, true), -1);
        assert_int_equal(place(f, "tools/list_changed", "[@]", 0, false), 9);
        assert_int_equal(place(f, "message", LEVEL("error"), 0, false), 2);
        assert_int_equal(place(f, "message", LEVEL("warning"), 0, false), 2);
        assert_int_equal(place(f, "message", LEVEL("info"), 0, false), -1);
        assert_int_equal(place(f, "message", LEVEL("loud"), 0, false), -1);
        assert_int_equal(place(f, "anything", "[@]", 0, false), 2);
}

struct told {
        unsigned added, removed;
};

static void on_handle(_unused_ const char *key, bool is_removed, void *userdata)
{
        struct told *told = userdata;

        *(is_removed ? &told->removed : &told->added) += 1;
}

static void test_handles(_unused_ void **state)
{
        struct told told = { 0 }, again = { 0 };
        struct handles *handles;
        char key[16];

        assert_int_equal(handles_new(on_handle, &told, &handles), 0);
        for (unsigned i = 0; i < HANDLES_MAX + 3; i++) {
                snprintf(key, sizeof(key), "state.%u", i);
                assert_int_equal(handles_add(handles, key), 0);
                assert_int_equal(handles_add(handles, key), 0);
        }
        assert_int_equal(told.added, HANDLES_MAX + 3);
        assert_int_equal(told.removed, 3);
        handles_remove(handles, "state.0"); /* forgotten already */
        handles_remove(handles, key);
        assert_int_equal(told.removed, 4);
        assert_int_equal(handles_count(handles), HANDLES_MAX - 1);
        handles_each(handles, on_handle, &again);
        assert_int_equal(again.added, HANDLES_MAX - 1);
        handles_free(handles);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_header_decode),
                cmocka_unit_test(test_header_fits),
                cmocka_unit_test(test_params),
                cmocka_unit_test(test_params_deep),
                cmocka_unit_test(test_tool_list),
                cmocka_unit_test(test_listen),
                cmocka_unit_test_setup_teardown(test_placement, setup, teardown),
                cmocka_unit_test(test_handles),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
