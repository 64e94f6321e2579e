#include "common/json_writer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_string_becomes(const char *bytes, size_t size, const char *expected)
{
        _cleanup_json_writer_ struct json_writer w = { .failed = false };
        _cleanup_free_ char *text = NULL;
        size_t text_size;

        json_writer_string_n(&w, bytes, size);
        assert_int_equal(json_writer_finish(&w, &text, &text_size), 0);
        assert_string_equal(text, expected);
        assert_int_equal(text_size, strlen(expected));
}

static void test_strings_are_escaped(void **state)
{
        assert_string_becomes("", 0, "\"\"");
        assert_string_becomes("a\"b\\c\n\r\t\b\f/", 11, "\"a\\\"b\\\\c\\n\\r\\t\\b\\f/\"");
        assert_string_becomes("\0\x1f\x7f", 3, "\"\\u0000\\u001f\x7f\"");
        assert_string_becomes("\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"");
}

static void test_bad_utf8_becomes_a_replacement(void **state)
{
        assert_string_becomes("a\xff" "b", 3, "\"a\xef\xbf\xbd" "b\"");
        assert_string_becomes("\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void test_pieces_join_and_grow(void **state)
{
        _cleanup_json_writer_ struct json_writer w = { .failed = false };
        _cleanup_free_ char *text = NULL;
        size_t size;

        json_writer_text(&w, "[");
        for (int i = 0; i < 1000; i++)
                json_writer_format(&w, "%s%d", i ? "," : "", i % 10);
        json_writer_raw(&w, "]\n", 1);
        assert_int_equal(json_writer_finish(&w, &text, &size), 0);
        assert_int_equal(size, 2001);
        assert_string_equal(text + 1991, "5,6,7,8,9]");
        assert_null(w.data);
}

static void test_nothing_written_is_an_empty_text(void **state)
{
        struct json_writer w = { .failed = false };
        _cleanup_free_ char *text = NULL;

        assert_int_equal(json_writer_finish(&w, &text, NULL), 0);
        assert_string_equal(text, "");
}

static void test_a_failure_sticks(void **state)
{
        struct json_writer w = { .failed = false };
        char *text = NULL;

        json_writer_text(&w, "lost");
        json_writer_raw(&w, "x", SIZE_MAX - 2); /* no such memory: must fail before it reads */
        json_writer_text(&w, "ignored");
        assert_true(w.failed);
        assert_int_equal(json_writer_finish(&w, &text, NULL), -ENOMEM);
        assert_null(text);
        assert_null(w.data);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_strings_are_escaped),
                cmocka_unit_test(test_bad_utf8_becomes_a_replacement),
                cmocka_unit_test(test_pieces_join_and_grow),
                cmocka_unit_test(test_nothing_written_is_an_empty_text),
                cmocka_unit_test(test_a_failure_sticks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
