#include "common/jsonrpc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct jsonrpc_message parse(const char *text)
{
        struct jsonrpc_message m = { .kind = JSONRPC_BATCH };

        assert_int_equal(jsonrpc_parse(text, strlen(text), &m), 0);
        return m;
}

static void assert_slice(struct json_slice value, const char *text)
{
        assert_int_equal(value.size, strlen(text));
        assert_memory_equal(value.data, text, value.size);
}

static void test_request(void **state)
{
        struct jsonrpc_message m = parse("{ \"method\":\"tools/call\", \"params\" : {\"id\":2}, \"jsonrpc\":\"2.0\","
                                         " \"id\" : 7 }");

        assert_int_equal(m.kind, JSONRPC_REQUEST);
        assert_slice(m.id, "7");
        assert_slice(m.method, "\"tools/call\"");
        assert_slice(m.params, "{\"id\":2}");
        assert_true(jsonrpc_method_is(&m, "tools/call"));
        assert_false(jsonrpc_method_is(&m, "tools/list"));
        assert_int_equal(m.result.size, 0);
        m = parse("{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0062\",\"method\":\"\\u0070ing\"}");
        assert_slice(m.id, "\"a\\u0062\"");
        assert_true(jsonrpc_method_is(&m, "ping"));
        assert_int_equal(m.params.size, 0);
}

static void test_notification(void **state)
{
        struct jsonrpc_message m = parse("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");

        assert_int_equal(m.kind, JSONRPC_NOTIFICATION);
        assert_int_equal(m.id.size, 0);
}

static void test_response(void **state)
{
        struct jsonrpc_message m = parse("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"result\":null}");

        assert_int_equal(m.kind, JSONRPC_RESPONSE);
        assert_slice(m.result, "null");
        assert_false(jsonrpc_method_is(&m, "ping"));
        m = parse("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,\"message\":\"no\"}}");
        assert_int_equal(m.kind, JSONRPC_RESPONSE);
        assert_slice(m.error, "{\"code\":-32601,\"message\":\"no\"}");
        assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{}}").kind, JSONRPC_RESPONSE);
        assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"error\":{}}").kind, JSONRPC_RESPONSE);
}

static void test_batch(void **state)
{
        struct jsonrpc_message element,
                m = parse(" [{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"},[{\"jsonrpc\":\"2.0\",\"method\":\"b\"}],"
                          "3] ");
        const int expected[] = { 0, -EPROTO, -EPROTO };
        struct json_slice value;
        size_t cursor = 0;

        assert_int_equal(m.kind, JSONRPC_BATCH);
        for (size_t i = 0; json_next(m.whole, &cursor, NULL, &value) > 0; i++)
                assert_int_equal(jsonrpc_parse_value(value, &element), expected[i]);
}

static void test_refuses(void **state)
{
        static const struct {
                const char *text;
                int error;
        } cases[] = {
                { "", -EBADMSG },
                { "{\"jsonrpc\":\"2.0\",\"method\":\"a\",}", -EBADMSG },
                { "[]", -EPROTO },
                { "[ ]", -EPROTO },
                { "7", -EPROTO },
                { "null", -EPROTO },
                { "\"initialize\"", -EPROTO },
                { "{}", -EPROTO },
                { "{\"id\":1,\"method\":\"a\"}", -EPROTO },
                { "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"a\"}", -EPROTO },
                { "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"a\"}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"a\"}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"a\"}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"a\"}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":3}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":null}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"result\":1}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"id\":2}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"\\u0069d\":2}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":1}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"result\":1}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":1}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"error\":{}}", -EPROTO },
                { "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":\"no\"}", -EPROTO },
        };
        struct jsonrpc_message m = { .kind = JSONRPC_BATCH };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (jsonrpc_parse(cases[i].text, strlen(cases[i].text), &m) != cases[i].error)
                        fail_msg("%s", cases[i].text);
        assert_int_equal(m.kind, JSONRPC_BATCH);
}

static bool ids_equal(const char *a, const char *b)
{
        return jsonrpc_id_equal((struct json_slice) { a, strlen(a) }, (struct json_slice) { b, strlen(b) });
}

static void test_id_equal(void **state)
{
        assert_true(ids_equal("1", "1"));
        assert_true(ids_equal("\"a\"", "\"\\u0061\""));
        assert_false(ids_equal("1", "\"1\""));
        assert_false(ids_equal("1", "1.0"));
        assert_false(ids_equal("1", "10"));
        assert_false(ids_equal("\"a\"", "\"A\""));
        assert_false(ids_equal("null", "null"));
        assert_false(ids_equal("", ""));
}

static void test_replace_keeps_every_other_byte(void **state)
{
        struct jsonrpc_message m = parse("{ \"id\":\"x\",\t\"jsonrpc\":\"2.0\", \"result\":{\"n\":1.00,"
                                         "\"id\":\"x\"} }");
        _cleanup_free_ char *text = NULL;
        size_t size;

        assert_int_equal(jsonrpc_replace(m.whole, m.id, "42", 2, &text, &size), 0);
        assert_string_equal(text, "{ \"id\":42,\t\"jsonrpc\":\"2.0\", \"result\":{\"n\":1.00,\"id\":\"x\"} }");
        assert_int_equal(size, strlen(text));
}

static void test_edit(_unused_ void **state)
{
        static const char text[] = "{\"a\": 1, \"b\": [22], \"c\": {}}";
        struct json_slice whole = { .data = text, .size = sizeof(text) - 1 };
        struct jsonrpc_edit edits[] = {
                { .old = { .data = strchr(text, '}') }, .text = "\"d\":0", .size = 5 },
                { .old = { .data = strchr(text, '1'), .size = 1 }, .text = "\"one\"", .size = 5 },
                { .old = { .data = strstr(text, "22"), .size = 2 }, .text = "", .size = 0 },
        };
        _cleanup_free_ char *changed = NULL;
        size_t size;

        assert_int_equal(jsonrpc_edit(whole, edits, ELEMENTSOF(edits), &changed, &size), 0);
        assert_string_equal(changed, "{\"a\": \"one\", \"b\": [], \"c\": {\"d\":0}}");
        assert_int_equal(size, strlen(changed));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_edit),
                cmocka_unit_test(test_request),
                cmocka_unit_test(test_notification),
                cmocka_unit_test(test_response),
                cmocka_unit_test(test_batch),
                cmocka_unit_test(test_refuses),
                cmocka_unit_test(test_id_equal),
                cmocka_unit_test(test_replace_keeps_every_other_byte),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
