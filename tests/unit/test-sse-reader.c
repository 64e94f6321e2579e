#include "worker/sse_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* What is found in text when it comes in pieces of `step` bytes: "E=uri;", "R=id;". */
static void check(const char *text, size_t step, const char *expected)
{
        struct sse_reader reader = { 0 };
        char found_all[2 * SSE_URI_BYTES_MAX] = "";
        size_t size = strlen(text);

        for (size_t at = 0; at < size;) {
                size_t end = MIN_OF(size, (at / step + 1) * step);
                enum sse_found found;

                at += sse_reader_feed(&reader, text + at, end - at, &found);
                size_t used = strlen(found_all);

                if (found == SSE_ENDPOINT)
                        snprintf(found_all + used, sizeof(found_all) - used, "E=%s;", reader.uri);
                if (found == SSE_RESPONSE)
                        snprintf(found_all + used, sizeof(found_all) - used, "R=%.*s;", (int) sse_reader_id(&reader).size,
                                 sse_reader_id(&reader).data);
        }
        assert_string_equal(found_all, expected);
}

static void check_all(const char *text, const char *expected)
{
        for (size_t step = 1; step <= 9; step++)
                check(text, step, expected);
        check(text, strlen(text), expected);
}

static void test_finds_the_endpoint_however_lines_end(void **state)
{
        check_all("event: endpoint\ndata: /m?s=1\n\n", "E=/m?s=1;");
        check_all("event: endpoint\r\ndata: /m?s=1\r\n\r\n", "E=/m?s=1;");
        check_all("event: endpoint\rdata: /m?s=1\r\r", "E=/m?s=1;");
        check_all(": hello\n\nid: 7\ndata:/m\nevent:endpoint\nretry: 3\n\n", "E=/m;");
}

static void test_what_comes_before_the_endpoint_is_none(void **state)
{
        check_all("data: {\"id\":1,\"result\":{}}\n\nevent: endpoints\ndata: /x\n\nevent: endpoint\ndata: /m\n\n", "E=/m;");
        check_all("event: endpoint\ndata: /m\n", "");
}

static void test_finds_responses_and_nothing_else(void **state)
{
        check_all("event: endpoint\ndata: /m\n\n"
                  ": keepalive\n\n"
                  "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"id\":5,\"method\":\"x\"}}\n\n"
                  "data: {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n\n"
                  "data: {\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n\n"
                  "data: nonsense\n\n"
                  "data: {\"error\":{},\ndata: \"id\":\"a b\"}\nid: 9\n\n"
                  "event: endpoint\ndata: /other\n\n", "E=/m;R=1;R=\"a b\";");
}

static void test_an_endpoint_that_is_too_long_is_none(void **state)
{
        _cleanup_free_ char *text = NULL;

        assert_true(asprintf(&text, "event: endpoint\ndata: /%0*d\n\n", (int) SSE_URI_BYTES_MAX, 1) > 0);
        check(text, 100, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_finds_the_endpoint_however_lines_end),
                cmocka_unit_test(test_what_comes_before_the_endpoint_is_none),
                cmocka_unit_test(test_finds_responses_and_nothing_else),
                cmocka_unit_test(test_an_endpoint_that_is_too_long_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
