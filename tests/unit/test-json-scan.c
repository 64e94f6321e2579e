#include "common/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int validate(const char *text)
{
        struct json_slice value;

        return json_validate(text, strlen(text), &value);
}

static struct json_slice slice(const char *text)
{
        struct json_slice value = { NULL, 0 };

        assert_int_equal(json_validate(text, strlen(text), &value), 0);
        return value;
}

static void assert_slice(struct json_slice value, const char *text)
{
        assert_int_equal(value.size, strlen(text));
        assert_memory_equal(value.data, text, value.size);
}

static void test_accepts(void **state)
{
        static const char *const good[] = {
                "null", "true", "false", "0", "-0", "10", "-1.5", "1e5", "1E+5", "0.1e-7", "\"\"", "{}", "[]",
                "[[],{}]",
                " \t\r\n[ 1 , 2 ] \n", "{\"a\":{\"b\":[1,\"x\",null]},\"\":0}", "\"\\u0041\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                "\"\\ud800\"", "\"\x7f\"",
                "\"\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
                "\"a string longer than one word of eight bytes\"", "\"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\"",
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                if (validate(good[i]) != 0)
                        fail_msg("refused: %s", good[i]);
}

static void test_refuses(void **state)
{
        static const char *const bad[] = {
                "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+",
                "0x1",
                "'a'", "\"", "\"a", "\"a\\", "\"\\x\"", "\"\\u12g4\"", "\"\\u12", "\"a\nb\"", "\"1234567\tx\"",
                "\"\x1f\"",
                "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]]", "]", "{", "{\"a\"", "{\"a\":", "{\"a\":1",
                "{\"a\":1,}",
                "{a:1}", "{1:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{,}", "[}", "{]", "[1}", "{\"a\":1]", "1 2",
                "{}{}",
                "/**/1", "[1,/**/2]", "\xef\xbb\xbf{}",
                "\"\x80\"", "\"\xc0\xaf\"", "\"\xc1\xbf\"", "\"\xe0\x9f\xbf\"", "\"\xed\xa0\x80\"",
                "\"\xf0\x8f\xbf\xbf\"",
                "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xe2\x82\"", "\"abcdefg\xe2\x82", "\"\xff\"",
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (validate(bad[i]) != -EBADMSG)
                        fail_msg("not refused as malformed: %s", bad[i]);
        struct json_slice value;

        assert_int_equal(json_validate("{}\0", 3, &value), -EBADMSG);
        assert_int_equal(json_validate("\"\\\0\"", 4, &value), -EBADMSG);
}

/* Each special byte at each place of a word of eight. */
static void test_special_bytes_at_every_offset(void **state)
{
        for (size_t at = 0; at < 24; at++) {
                char text[] = "\"abcdefghijklmnopqrstuvwx\"";

                assert_int_equal(validate(text), 0);
                text[1 + at] = '\x1f';
                assert_int_equal(validate(text), -EBADMSG);
                text[1 + at] = '\x80';
                assert_int_equal(validate(text), -EBADMSG);
                text[1 + at] = '"';
                assert_int_equal(validate(text), -EBADMSG);
                text[1 + at] = '!'; /* one below the quote, one above follows */
                assert_int_equal(validate(text), 0);
                text[1 + at] = '#';
                assert_int_equal(validate(text), 0);
                text[1 + at] = '\\';
                assert_int_equal(validate(text), strchr("bfnrt", text[2 + at]) ? 0 : -EBADMSG);
        }
}

static void test_depth_is_bounded(void **state)
{
        char text[2 * (JSON_DEPTH_MAX + 1)];
        struct json_slice value;

        for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
                memset(text, '[', depth);
                memset(text + depth, ']', depth);
                assert_int_equal(json_validate(text, 2 * depth, &value), depth > JSON_DEPTH_MAX ? -ELOOP : 0);
        }
}

static void test_kinds_of_container_survive_nesting(void **state)
{
        char text[8 * 63 + 1], *p = text;

        for (int i = 0; i < 63; i++)
                p = stpcpy(p, "{\"a\":[");
        for (int i = 0; i < 63; i++)
                p = stpcpy(p, i == 40 ? "}]" : "]}");
        assert_int_equal(validate(text), -EBADMSG);
        p = text + 6 * 63;
        for (int i = 0; i < 63; i++)
                p = stpcpy(p, "]}");
        assert_int_equal(validate(text), 0);
}

static void test_white_space_is_left_out(void **state)
{
        assert_slice(slice(" \n{ \"a\" : 1 }\r\n"), "{ \"a\" : 1 }");
        assert_slice(slice("  7  "), "7");
}

static void test_get(void **state)
{
        struct json_slice value, o = slice("{ \"a\" : 1 , \"\\u0062\":[ 2 ,\"]\"], \"c\\\\\":\"x\\\\\","
                                           " \"a\" :{\"d\":null}, \"e\":true}");

        assert_int_equal(json_get(o, "a", &value), 0);
        assert_slice(value, "{\"d\":null}"); /* the last one wins */
        assert_int_equal(json_get(o, "b", &value), 0);
        assert_slice(value, "[ 2 ,\"]\"]");
        assert_int_equal(json_get(o, "c\\", &value), 0);
        assert_slice(value, "\"x\\\\\"");
        assert_int_equal(json_get_path(o, &value, "a", "d", NULL), 0);
        assert_int_equal(json_slice_type(value), JSON_NULL);
        assert_int_equal(json_get(o, "e", &value), 0);
        assert_slice(value, "true");

        value = (struct json_slice) { "untouched", 9 };
        assert_int_equal(json_get(o, "d", &value), -ENOENT);
        assert_int_equal(json_get(slice("[1]"), "a", &value), -ENOENT);
        assert_int_equal(json_get_path(o, &value, "a", "d", "x", NULL), -ENOENT);
        assert_slice(value, "untouched");
}

static void test_next(void **state)
{
        static const char *const elements[] = { "1", "\"a,]\\\"\"", "{\"x\":[1,2]}", "[]", "-0.5e1", "null" };
        struct json_slice value, name, array = slice("[1, \"a,]\\\"\",{\"x\":[1,2]} ,[],-0.5e1,null ]");
        size_t cursor = 0;

        for (size_t i = 0; i < ELEMENTSOF(elements); i++) {
                assert_int_equal(json_next(array, &cursor, NULL, &value), 1);
                assert_slice(value, elements[i]);
        }
        assert_int_equal(json_next(array, &cursor, NULL, &value), 0);
        cursor = 0;
        assert_int_equal(json_next(slice("{ \"n\" : 3 }"), &cursor, &name, &value), 1);
        assert_slice(name, "\"n\"");
        assert_slice(value, "3");
        cursor = 0;
        assert_int_equal(json_next(slice("[ ]"), &cursor, NULL, &value), 0);
        assert_int_equal(json_next(slice("\"[1]\""), &cursor, NULL, &value), 0);
}

static void test_types(void **state)
{
        assert_int_equal(json_slice_type(slice("{}")), JSON_OBJECT);
        assert_int_equal(json_slice_type(slice("[]")), JSON_ARRAY);
        assert_int_equal(json_slice_type(slice("\"\"")), JSON_STRING);
        assert_int_equal(json_slice_type(slice("-1")), JSON_NUMBER);
        assert_int_equal(json_slice_type(slice("true")), JSON_BOOL);
        assert_int_equal(json_slice_type(slice("false")), JSON_BOOL);
        assert_int_equal(json_slice_type(slice("null")), JSON_NULL);
}

static void test_string_copy(void **state)
{
        char text[16];

        assert_int_equal(json_string_copy(slice("\"a\\u00e9\\ud83d\\ude00\\n\\/\""), text, sizeof(text)), 9);
        assert_string_equal(text, "a\xc3\xa9\xf0\x9f\x98\x80\n/");
        assert_int_equal(json_string_copy(slice("\"\xe2\x82\xac\""), text, sizeof(text)), 3);
        assert_string_equal(text, "\xe2\x82\xac");
        assert_int_equal(json_string_copy(slice("\"\""), text, 1), 0);
        assert_int_equal(json_string_copy(slice("\"abc\""), text, 4), 3);
        assert_int_equal(json_string_copy(slice("\"abcd\""), text, 4), -ENAMETOOLONG);
        assert_int_equal(json_string_copy(slice("\"a\\u0000\""), text, sizeof(text)), -EINVAL);
        assert_int_equal(json_string_copy(slice("\"\\ud800x\""), text, sizeof(text)), -EINVAL);
        assert_int_equal(json_string_copy(slice("\"\\udc00\\ud800\""), text, sizeof(text)), -EINVAL);
        assert_int_equal(json_string_copy(slice("1"), text, sizeof(text)), -EINVAL);
}

static void test_string_is(void **state)
{
        assert_true(json_string_is(slice("\"ping\""), "ping"));
        assert_true(json_string_is(slice("\"\\u0070i\\u006eg\""), "ping"));
        assert_true(json_string_is(slice("\"\\ud83d\\ude00\""), "\xf0\x9f\x98\x80"));
        assert_true(json_string_is(slice("\"\""), ""));
        assert_false(json_string_is(slice("\"pin\""), "ping"));
        assert_false(json_string_is(slice("\"p\\u0069nge\""), "ping"));
        assert_false(json_string_is(slice("\"p\\u0069n\""), "ping"));
        assert_false(json_string_is(slice("null"), "null"));
}

static void test_string_compare(void **state)
{
        assert_int_equal(json_string_compare(slice("\"a\\u0062\""), slice("\"ab\"")), 0);
        assert_true(json_string_compare(slice("\"a\""), slice("\"ab\"")) < 0);
        assert_true(json_string_compare(slice("\"b\""), slice("\"ab\"")) > 0);
        /* By code point, where UTF-16 would order them the other way round. */
        assert_true(json_string_compare(slice("\"\\uffff\""), slice("\"\\ud83d\\ude00\"")) < 0);
}

static void test_integer(void **state)
{
        int64_t n = 99;

        assert_int_equal(json_integer(slice("0"), &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(json_integer(slice("-0"), &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(json_integer(slice("-42"), &n), 0);
        assert_int_equal(n, -42);
        assert_int_equal(json_integer(slice("9223372036854775807"), &n), 0);
        assert_true(n == INT64_MAX);
        assert_int_equal(json_integer(slice("-9223372036854775808"), &n), 0);
        assert_true(n == INT64_MIN);
        assert_int_equal(json_integer(slice("9223372036854775808"), &n), -ERANGE);
        assert_int_equal(json_integer(slice("-9223372036854775809"), &n), -ERANGE);
        assert_int_equal(json_integer(slice("123456789012345678901234567890"), &n), -ERANGE);
        assert_int_equal(json_integer(slice("1.0"), &n), -EINVAL);
        assert_int_equal(json_integer(slice("1e3"), &n), -EINVAL);
        assert_int_equal(json_integer(slice("99999999999999999999999.5"), &n), -EINVAL);
        assert_int_equal(json_integer(slice("\"1\""), &n), -EINVAL);
        assert_int_equal(json_integer(slice("true"), &n), -EINVAL);
        assert_true(n == INT64_MIN);
}

static void test_blank_newlines(void **state)
{
        char text[] = "{\r\n  \"a\": \"x\\n\"\n}";

        json_blank_newlines(text, strlen(text));
        assert_string_equal(text, "{    \"a\": \"x\\n\" }");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepts),
                cmocka_unit_test(test_refuses),
                cmocka_unit_test(test_special_bytes_at_every_offset),
                cmocka_unit_test(test_depth_is_bounded),
                cmocka_unit_test(test_kinds_of_container_survive_nesting),
                cmocka_unit_test(test_white_space_is_left_out),
                cmocka_unit_test(test_get),
                cmocka_unit_test(test_next),
                cmocka_unit_test(test_types),
                cmocka_unit_test(test_string_copy),
                cmocka_unit_test(test_string_is),
                cmocka_unit_test(test_string_compare),
                cmocka_unit_test(test_integer),
                cmocka_unit_test(test_blank_newlines),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
