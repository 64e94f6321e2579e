#include "common/http/target.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct http_slice slice(const char *text)
{
        return (struct http_slice) { text, strlen(text) };
}

static void assert_slice(struct http_slice got, const char *wanted)
{
        assert_int_equal(got.size, strlen(wanted));
        assert_memory_equal(got.data, wanted, got.size);
}

static void test_decode(void **state)
{
        char dst[8];

        assert_int_equal(target_decode(slice("a%2Fb"), false, dst, sizeof(dst)), 0);
        assert_string_equal(dst, "a/b");
        assert_int_equal(target_decode(slice("a+b"), true, dst, sizeof(dst)), 0);
        assert_string_equal(dst, "a b");
        assert_int_equal(target_decode(slice("a+b"), false, dst, sizeof(dst)), 0);
        assert_string_equal(dst, "a+b");
        assert_int_equal(target_decode(slice("%C3%a9"), false, dst, sizeof(dst)), 0);
        assert_string_equal(dst, "é");
        assert_int_equal(target_decode(slice(""), false, dst, sizeof(dst)), 0);
        assert_string_equal(dst, "");
}

static void test_decode_refuses(void **state)
{
        static const char *const bad[] = { "%", "%4", "a%4", "%4g", "%g4", "%00", "a%", "%%41" };
        char dst[8];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(target_decode(slice(bad[i]), false, dst, sizeof(dst)), -EINVAL);
        assert_int_equal(target_decode((struct http_slice) { "a\0b", 3 }, false, dst, sizeof(dst)), -EINVAL);
}

static void test_decode_fits_exactly_or_not(void **state)
{
        char dst[4];

        assert_int_equal(target_decode(slice("abc"), false, dst, sizeof(dst)), 0);
        assert_string_equal(dst, "abc");
        assert_int_equal(target_decode(slice("abcd"), false, dst, sizeof(dst)), -ENAMETOOLONG);
        assert_int_equal(target_decode(slice("abc%41"), false, dst, sizeof(dst)), -ENAMETOOLONG);
        assert_int_equal(target_decode(slice(""), false, dst, 0), -ENAMETOOLONG);
}

static void test_split(void **state)
{
        struct http_slice path, query;

        target_split(slice("/a/b?x=1&y"), &path, &query);
        assert_slice(path, "/a/b");
        assert_slice(query, "x=1&y");
        target_split(slice("/a?b?c"), &path, &query);
        assert_slice(path, "/a");
        assert_slice(query, "b?c");
        target_split(slice("/a?"), &path, &query);
        assert_slice(path, "/a");
        assert_slice(query, "");
        target_split(slice("*"), &path, &query);
        assert_slice(path, "*");
        assert_slice(query, "");
}

static void test_segments(void **state)
{
        struct http_slice path = slice("/a//b/"), segment;

        assert_true(target_next_segment(&path, &segment));
        assert_slice(segment, "a");
        assert_slice(path, "//b/");
        assert_true(target_next_segment(&path, &segment));
        assert_slice(segment, "");
        assert_true(target_next_segment(&path, &segment));
        assert_slice(segment, "b");
        assert_true(target_next_segment(&path, &segment));
        assert_slice(segment, "");
        assert_false(target_next_segment(&path, &segment));
        path = slice("*");
        assert_false(target_next_segment(&path, &segment));
}

static void test_query(void **state)
{
        struct http_slice value, query = slice("seed=42&empty=&flag&seeds=1&seed=7&=x");

        assert_int_equal(target_query_get(query, "seed", &value), 0);
        assert_slice(value, "42");
        assert_int_equal(target_query_get(query, "empty", &value), 0);
        assert_slice(value, "");
        assert_int_equal(target_query_get(query, "flag", &value), 0);
        assert_slice(value, "");
        assert_int_equal(target_query_get(query, "see", &value), -ENOENT);
        assert_int_equal(target_query_get(query, "fla", &value), -ENOENT);
        assert_int_equal(target_query_get(slice(""), "seed", &value), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),
                cmocka_unit_test(test_decode_refuses),
                cmocka_unit_test(test_decode_fits_exactly_or_not),
                cmocka_unit_test(test_split),
                cmocka_unit_test(test_segments),
                cmocka_unit_test(test_query),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
