#include "common/handle.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int key_of(enum handle_kind kind, const char *json, char ret[static IPC_KEY_SIZE])
{
        struct json_slice value;

        assert_int_equal(json_validate(json, strlen(json), &value), 0);
        return handle_key(kind, value, ret);
}

static void assert_key(enum handle_kind kind, const char *json, const char *expected)
{
        char key[IPC_KEY_SIZE];

        assert_int_equal(key_of(kind, json, key), 0);
        assert_string_equal(key, expected);
}

/* Sessions live for days and releases change: a handle's key must not. */
static void test_keys_stay_what_they_are(void **state)
{
        assert_key(HANDLE_STATE, "\"a\"", "state.a2d398922901344d08180dc41d3e9d73d8c148c7f6e092835bbb28e02dbcf184");
        assert_key(HANDLE_TASK, "\"a\"", "task.a2d398922901344d08180dc41d3e9d73d8c148c7f6e092835bbb28e02dbcf184");
}

static void test_equal_texts_have_equal_keys(void **state)
{
        char plain[IPC_KEY_SIZE], escaped[IPC_KEY_SIZE], other[IPC_KEY_SIZE];

        assert_int_equal(key_of(HANDLE_STATE, "\"/\xc3\xa9\"", plain), 0);
        assert_int_equal(key_of(HANDLE_STATE, "\"\\/\\u00e9\"", escaped), 0);
        assert_string_equal(plain, escaped);
        assert_int_equal(key_of(HANDLE_STATE, "\"/e\"", other), 0);
        assert_string_not_equal(plain, other);
}

static void test_lone_surrogates_and_nul_are_text_too(void **state)
{
        char nul[IPC_KEY_SIZE], surrogate[IPC_KEY_SIZE];

        assert_int_equal(key_of(HANDLE_STATE, "\"a\\u0000b\"", nul), 0);
        assert_int_equal(key_of(HANDLE_STATE, "\"\\ud800\"", surrogate), 0);
        assert_string_not_equal(nul, surrogate);
}

static void test_what_is_no_text_is_refused(void **state)
{
        static const char *const refused[] = { "\"\"", "7", "null", "{}", "[\"a\"]" };
        char key[IPC_KEY_SIZE] = "untouched";

        for (size_t i = 0; i < ELEMENTSOF(refused); i++)
                assert_int_equal(key_of(HANDLE_TASK, refused[i], key), -EINVAL);
        assert_int_equal(handle_key(HANDLE_TASK, (struct json_slice) {}, key), -EINVAL);
        assert_string_equal(key, "untouched");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_keys_stay_what_they_are),
                cmocka_unit_test(test_equal_texts_have_equal_keys),
                cmocka_unit_test(test_lone_surrogates_and_nul_are_text_too),
                cmocka_unit_test(test_what_is_no_text_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
