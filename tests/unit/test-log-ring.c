#include "worker/log_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int setup(void **state)
{
        return log_ring_new(4096, (struct log_ring **) state);
}

static int teardown(void **state)
{
        log_ring_free(*state);
        return 0;
}

static void expect_lines(const struct log_ring *ring, enum log_source source, const char *text)
{
        char buf[8192];
        enum log_source got;
        uint64_t first, after;
        size_t size = log_ring_collect(ring, 0, buf, sizeof(buf), &got, &first, &after);

        assert_int_equal(got, source);
        assert_int_equal(size, strlen(text));
        assert_memory_equal(buf, text, size);
}

static void test_lines_are_put_together_from_pieces(void **state)
{
        struct log_ring *ring = *state;

        log_ring_write(ring, LOG_STDERR, "on", 2);
        log_ring_write(ring, LOG_STDERR, "e\r\ntw", 5);
        log_ring_write(ring, LOG_STDERR, "o\n\nrest", 7);
        expect_lines(ring, LOG_STDERR, "one\ntwo\n\n");
        log_ring_flush(ring, LOG_STDERR);
        log_ring_flush(ring, LOG_STDERR);
        expect_lines(ring, LOG_STDERR, "one\ntwo\n\nrest\n");
}

static void test_sources_do_not_mix(void **state)
{
        struct log_ring *ring = *state;
        char buf[100];
        enum log_source source;
        uint64_t first, after;

        log_ring_write(ring, LOG_STDERR, "er", 2);
        log_ring_write(ring, LOG_STDOUT, "out\n", 4);
        log_ring_write(ring, LOG_STDERR, "ror\n", 4);
        expect_lines(ring, LOG_STDOUT, "out\n");
        assert_int_equal(log_ring_collect(ring, 1, buf, sizeof(buf), &source, &first, &after), 6);
        assert_int_equal(source, LOG_STDERR);
        assert_int_equal(after, 2);
        assert_int_equal(log_ring_collect(ring, after, buf, sizeof(buf), &source, &first, &after), 0);
}

static void test_the_oldest_lines_make_room_and_are_counted(void **state)
{
        struct log_ring *ring = *state;
        char buf[4096], line[16];
        enum log_source source;
        uint64_t first, after;

        for (unsigned i = 0; i < 10000; i++) {
                int n = snprintf(line, sizeof(line), "%u\n", i);

                log_ring_write(ring, LOG_STDERR, line, (size_t) n);
        }
        assert_int_equal(log_ring_next(ring), 10000);
        assert_true(log_ring_first(ring) > 9000);
        size_t size = log_ring_collect(ring, 0, buf, sizeof(buf), &source, &first, &after);

        assert_true(size > 0 && size < 4096);
        assert_int_equal(first, log_ring_first(ring));
        assert_int_equal(after, 10000);
        assert_memory_equal(buf + size - 5, "9999\n", 5);
}

static void test_a_line_without_end_is_cut(void **state)
{
        struct log_ring *big;
        char chunk[1000];
        char **lines;

        memset(chunk, 'x', sizeof(chunk));
        assert_int_equal(log_ring_new(1u << 20, &big), 0);
        for (unsigned i = 0; i < 100; i++)
                log_ring_write(big, LOG_STDERR, chunk, sizeof(chunk));
        assert_int_equal(log_ring_next(big), 100000 / LOG_LINE_BYTES_MAX);
        log_ring_write(big, LOG_STDERR, "\nshort\n", 7);
        assert_int_equal(log_ring_tail(big, 2, 20000, &lines), 0);
        assert_int_equal(strlen(lines[0]), 100000 % LOG_LINE_BYTES_MAX);
        assert_string_equal(lines[1], "short");
        assert_null(lines[2]);
        log_ring_tail_free(lines);
        log_ring_free(big);
}

static void test_a_line_larger_than_the_ring_leaves_it_empty(void **state)
{
        char line[5000];

        memset(line, 'x', sizeof(line));
        log_ring_add(*state, LOG_STDERR, "before", 6);
        log_ring_add(*state, LOG_STDERR, line, sizeof(line));
        assert_int_equal(log_ring_first(*state), log_ring_next(*state));
}

static void test_the_tail_is_of_standard_error_and_bounded(void **state)
{
        char **lines;

        log_ring_write(*state, LOG_STDERR, "one\ntwo\nthree\n", 14);
        log_ring_write(*state, LOG_STDOUT, "stray\n", 6);
        assert_int_equal(log_ring_tail(*state, 2, 100, &lines), 0);
        assert_string_equal(lines[0], "two");
        assert_string_equal(lines[1], "three");
        assert_null(lines[2]);
        log_ring_tail_free(lines);
        assert_int_equal(log_ring_tail(*state, 9, 7, &lines), 0);
        assert_string_equal(lines[0], "three");
        assert_null(lines[1]);
        log_ring_tail_free(lines);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_lines_are_put_together_from_pieces, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sources_do_not_mix, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_oldest_lines_make_room_and_are_counted, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_line_without_end_is_cut, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_line_larger_than_the_ring_leaves_it_empty, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_tail_is_of_standard_error_and_bounded, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
