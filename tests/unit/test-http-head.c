/* Looking things up in a received head. */
#include "common/http/http_parse.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char request[] = "GET / HTTP/1.1\r\n"
                              "Host: a\r\n"
                              "Accept: text/html;q=0.5 , application/JSON;charset=\"a,b\"\r\n"
                              "X-Twice: 1\r\n"
                              "accept:text/event-stream\r\n"
                              "x-twice: 2\r\n"
                              "Connection: keep-alive, X-Hop ,, te\r\n"
                              "X-Hop: 1\r\n"
                              "TE: trailers\r\n"
                              "Keep-alive: timeout=5\r\n"
                              "Content-Length: 0\r\n"
                              "X-Hops: stays\r\n"
                              "\r\n";

static struct http_limits limits;

static int setup(void **state)
{
        struct http_parser *p = malloc(sizeof(*p));
        size_t consumed;

        limits = http_limits_default();
        http_parser_init(p, HTTP_SERVER, &limits);
        assert_int_equal(http_parser_step(p, request, sizeof(request) - 1, &consumed), HTTP_PARSE_HEAD);
        *state = p;
        return 0;
}

static int teardown(void **state)
{
        http_parser_done(*state);
        free(*state);
        return 0;
}

static void test_get(void **state)
{
        const struct http_head *head = &((struct http_parser *) *state)->head;
        struct http_slice value = { "untouched", 9 };

        assert_int_equal(http_head_get(head, "X-HOP", &value), 0);
        assert_true(http_slice_is(value, "1"));
        assert_int_equal(http_head_get(head, "X-Twice", &value), -EEXIST);
        assert_int_equal(http_head_get(head, "X-Ho", &value), -ENOENT);
        assert_int_equal(http_head_get(head, "", &value), -ENOENT);
        assert_true(http_slice_is(value, "1"));
}

static void test_lists(void **state)
{
        const struct http_head *head = &((struct http_parser *) *state)->head;

        assert_true(http_head_lists(head, "Accept", "text/html"));
        assert_true(http_head_lists(head, "Accept", "application/json"));
        assert_true(http_head_lists(head, "Accept", "text/event-stream"));
        assert_false(http_head_lists(head, "Accept", "text"));
        assert_false(http_head_lists(head, "Accept", "b\""));
        assert_false(http_head_lists(head, "Accept", "q=0.5"));
        assert_false(http_head_lists(head, "Absent", "text/html"));
}

static void test_hop_by_hop(void **state)
{
        static const char *const ends_here[] = { "Connection", "X-Hop", "TE", "Keep-alive", "Content-Length" };
        const struct http_head *head = &((struct http_parser *) *state)->head;

        assert_true(head->connection_names_headers);
        for (size_t i = 0; i < head->n_headers; i++) {
                bool is_wanted = false;

                for (size_t j = 0; j < ELEMENTSOF(ends_here); j++)
                        is_wanted = is_wanted || http_slice_is(head->headers[i].name, ends_here[j]);
                assert_int_equal(http_head_is_hop_by_hop(head, &head->headers[i]), is_wanted);
        }
}

static void test_list_elements(void **state)
{
        static const char *const wanted[] = { "a", "\"b,c\\\"d,\"", "e" };
        static const char text[] = " ,a;x=1,\t\"b,c\\\"d,\" ;y, , e ,";
        struct http_slice list = { text, sizeof(text) - 1 }, element;

        for (size_t i = 0; i < ELEMENTSOF(wanted); i++) {
                assert_true(http_list_next(&list, &element));
                assert_true(http_slice_is(element, wanted[i]));
        }
        assert_false(http_list_next(&list, &element));
        list = (struct http_slice) { "\"open, \\", 8 };
        assert_true(http_list_next(&list, &element));
        assert_int_equal(element.size, 8);
        assert_false(http_list_next(&list, &element));
}

static void test_slices(void **state)
{
        struct http_slice word = { "Chunked!", 7 };

        assert_true(http_slice_is(word, "Chunked"));
        assert_false(http_slice_is(word, "chunked"));
        assert_true(http_slice_is_nocase(word, "cHUNKED"));
        assert_false(http_slice_is_nocase(word, "chunke"));
        assert_false(http_slice_is_nocase((struct http_slice) { "[", 1 }, "{")); /* 0x20 apart, not letters */
        assert_false(http_slice_is_nocase((struct http_slice) { "@", 1 }, "`"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_get, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hop_by_hop, setup, teardown),
                cmocka_unit_test(test_list_elements),
                cmocka_unit_test(test_slices),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
