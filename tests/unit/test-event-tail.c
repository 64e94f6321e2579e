#include "worker/event_tail.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
        const char *text;
        size_t whole; /* bytes of it that end with whole events */
        bool has_ids;
} streams[] = {
        { "data: 1\n\n", 9, false },
        { "data: 1\r\n\r\n", 11, false },
        { "data: 1\r\r", 9, false },
        { "data: 1\n\ndata: 2\n", 9, false },
        { "event: message\r\ndata: 1\r\n\r\nda", 27, false },
        { ": comment\ndata: 1", 10, false }, /* a comment is no part of an event */
        { "data: 1\n: comment\n", 0, false },
        { "id: 5\ndata:\n\n", 13, true },
        { "id\ndata: 1\n\n", 12, true },
        { "data: 1\nid:6\n\n", 14, true },
        { "idea: 1\ndata: id: 7\n\n", 21, false },
        { "data: 1\n\nid: 8", 9, false }, /* not whole yet */
        { "", 0, false },
};

static void test_streams_cut_anywhere(_unused_ void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(streams); i++)
                for (size_t step = 1; step <= strlen(streams[i].text) + 1; step++) {
                        const char *text = streams[i].text;
                        struct event_tail tail = { 0 };
                        size_t size = strlen(text), whole = 0;

                        for (size_t at = 0; at < size; at += step) {
                                size_t n = event_tail_feed(&tail, text + at, MIN_OF(step, size - at));

                                whole = n > 0 ? at + n : whole;
                        }
                        assert_int_equal(whole, streams[i].whole);
                        assert_int_equal(tail.has_ids, streams[i].has_ids);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_streams_cut_anywhere) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
