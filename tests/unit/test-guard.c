#include "router/guard.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct http_slice slice(const char *text)
{
        return (struct http_slice) { text, strlen(text) };
}

static void test_loopback_hosts_pass(void **state)
{
        static const char *const good[] = { "localhost", "LocalHost:8700", "127.0.0.1", "127.0.0.1:1", "127.255.0.9:80",
                                            "[::1]", "[::1]:8700" };
        static const char *const bad[] = { "", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
                                           "128.0.0.1", "127.0.0.256", "127.1", "127.0.0.1:80:80", "localhost:80x",
                                           "[::1", "[::1]x", "[::2]", "::1", "0.0.0.0", ":80", "127.0.0.1." };
        struct guard guard = {};

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                if (!guard_host_ok(&guard, slice(good[i])))
                        fail_msg("%s is refused", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (guard_host_ok(&guard, slice(bad[i])))
                        fail_msg("%s passes", bad[i]);
}

static void test_loopback_origins_pass(void **state)
{
        static const char *const good[] = { "http://localhost", "https://localhost:3000", "HTTP://127.0.0.1:8080",
                                            "http://[::1]:80" };
        static const char *const bad[] = { "null", "", "http://evil.example", "http://localhost.evil.example",
                                           "file://localhost", "localhost", "http://localhost/", "http://",
                                           "http://localhost@evil.example", "http://localhost:80@evil.example" };
        struct guard guard = {};

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                if (!guard_origin_ok(&guard, slice(good[i])))
                        fail_msg("%s is refused", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (guard_origin_ok(&guard, slice(bad[i])))
                        fail_msg("%s passes", bad[i]);
}

static void test_listed_names(void **state)
{
        static const char list[] = "[\"box.example\", \"other.example:8443\", \"https://app.example\"]";
        struct guard guard = {};

        assert_int_equal(guard_set(&guard, list, strlen(list)), 0);
        assert_true(guard_host_ok(&guard, slice("box.example")));
        assert_true(guard_host_ok(&guard, slice("Box.Example:1234")));
        assert_true(guard_host_ok(&guard, slice("other.example:8443")));
        assert_false(guard_host_ok(&guard, slice("other.example")));
        assert_false(guard_host_ok(&guard, slice("app.example")));
        assert_true(guard_origin_ok(&guard, slice("https://app.example")));
        assert_false(guard_origin_ok(&guard, slice("http://app.example")));
        assert_false(guard_origin_ok(&guard, slice("https://app.example:444")));
        assert_false(guard_origin_ok(&guard, slice("https://box.example")));

        /* A list that cannot be read leaves the old one in force. */
        assert_int_equal(guard_set(&guard, "[1]", 3), -EBADMSG);
        assert_int_equal(guard_set(&guard, "{}", 2), -EBADMSG);
        assert_int_equal(guard_set(&guard, "[", 1), -EBADMSG);
        assert_true(guard_host_ok(&guard, slice("box.example")));
        assert_int_equal(guard_set(&guard, NULL, 0), 0);
        assert_false(guard_host_ok(&guard, slice("box.example")));
        guard_done(&guard);
}

static void test_both_headers_decide(void **state)
{
        static const struct http_header origin[] = {
                { .name = { "Origin", 6 }, .value = { "http://evil.example", 19 } },
                { .name = { "Origin", 6 }, .value = { "http://localhost", 16 } },
        };
        struct http_head head = { .host = { "localhost", 9 } };
        struct guard guard = {};
        struct http_slice asking = { "?", 1 };
        enum reason reason;

        assert_int_equal(guard_check(&guard, &head, &asking, &reason), 0);
        assert_int_equal(asking.size, 0);
        head.headers = &origin[1];
        head.n_headers = 1;
        assert_int_equal(guard_check(&guard, &head, &asking, &reason), 0);
        assert_true(http_slice_is(asking, "http://localhost"));
        head.headers = origin;
        assert_int_equal(guard_check(&guard, &head, &asking, &reason), -EACCES);
        assert_int_equal(reason, REASON_forbidden_origin);
        head.headers = &origin[0];
        head.n_headers = 2; /* one good one does not make up for a bad one */
        assert_int_equal(guard_check(&guard, &head, &asking, &reason), -EACCES);
        head.host = slice("evil.example");
        assert_int_equal(guard_check(&guard, &head, &asking, &reason), -EACCES);
        assert_int_equal(reason, REASON_forbidden_host);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_loopback_hosts_pass),
                cmocka_unit_test(test_loopback_origins_pass),
                cmocka_unit_test(test_listed_names),
                cmocka_unit_test(test_both_headers_decide),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
