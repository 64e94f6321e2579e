#include "router/key.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEADER(name_, value_) { .name = { name_, sizeof(name_) - 1 }, .value = { value_, sizeof(value_) - 1 } }

static int read_key(const struct http_header *headers, size_t n, const char *path_key, struct request_key *ret)
{
        struct http_head head = { .headers = headers, .n_headers = n };
        struct http_slice encoded = { path_key, path_key ? strlen(path_key) : 0 };
        const char *why = NULL;
        int r = key_of_request(&head, encoded, "Envmux-Session", ret, &why);

        if (r == -EINVAL)
                assert_non_null(why);
        return r;
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
                cmocka_unit_test(test_minted_ids_are_fresh_hex),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
