#include "router/cors.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check_allowed(const char *asked, const char *expected)
{
        char list[64];

        cors_allowed_headers((struct http_slice) { asked, strlen(asked) }, "X-Env", list, sizeof(list));
        assert_string_equal(list, expected);
}

static void test_pages_may_send_the_headers_of_mcp(void **state)
{
        check_allowed("", "");
        check_allowed("content-type", "content-type");
        check_allowed("Mcp-Session-Id,mcp-protocol-version, x-env", "Mcp-Session-Id, mcp-protocol-version, x-env");
        check_allowed("mcp-param-city,cookie,last-event-id,x-envoy", "mcp-param-city, last-event-id");
        check_allowed("x-mcp-session-id,host", "");
}

static void test_what_does_not_fit_is_not_allowed(void **state)
{
        char asked[200] = "accept,mcp-";

        memset(asked + strlen(asked), 'x', 100);
        strcat(asked, ",baggage");
        check_allowed(asked, "accept, baggage");
}

static void check_preflight(enum http_method method, size_t n_headers, bool expected)
{
        static const struct http_header header = { .name = { "access-control-request-method", 29 }, .value = { "POST", 4 } };
        struct http_head head = { .method = method, .headers = &header, .n_headers = n_headers };

        assert_int_equal(cors_is_preflight(&head), expected);
}

static void test_a_preflight_is_options_with_a_method_asked_for(void **state)
{
        check_preflight(HTTP_OPTIONS, 1, true);
        check_preflight(HTTP_OPTIONS, 0, false);
        check_preflight(HTTP_GET, 1, false);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pages_may_send_the_headers_of_mcp),
                cmocka_unit_test(test_what_does_not_fit_is_not_allowed),
                cmocka_unit_test(test_a_preflight_is_options_with_a_method_asked_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
