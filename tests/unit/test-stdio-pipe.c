#include "worker/stdio_pipe.h"

#include "common/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#define LINE_MAX_BYTES 1000

struct fixture {
        struct event_base *base;
        struct stdio_pipe *pipe;
        int backend_in, backend_out; /* the backend's ends */
        char lines[4096];            /* "one|two|" */
        unsigned n_broken, n_long;
        uint64_t long_size;
        char long_id[64];            /* "": it was no response */
};

static void on_line(char *line, size_t size, void *userdata)
{
        struct fixture *f = userdata;

        strncat(f->lines, line, size);
        strcat(f->lines, "|");
}

static void on_long_line(uint64_t size, const struct id_scan *scan, void *userdata)
{
        struct fixture *f = userdata;
        struct json_slice id = { "", 0 };

        (void) id_scan_response(scan, &id);
        (void) snprintf(f->long_id, sizeof(f->long_id), "%.*s", (int) id.size, id.data);
        f->n_long++;
        f->long_size = size;
}

static void on_broken(void *userdata)
{
        struct fixture *f = userdata;

        f->n_broken++;
}

static const struct stdio_pipe_ops ops = { .on_line = on_line, .on_long_line = on_long_line, .on_broken = on_broken };

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        int in[2], out[2];

        assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
        f->base = event_base_new();
        f->backend_in = in[0];
        f->backend_out = out[1];
        assert_int_equal(stdio_pipe_new(f->base, in[1], out[0], LINE_MAX_BYTES, &ops, f, &f->pipe), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        stdio_pipe_free(f->pipe);
        fd_close(f->backend_in);
        fd_close(f->backend_out);
        event_base_free(f->base);
        free(f);
        return 0;
}

static void say(struct fixture *f, const char *text)
{
        assert_int_equal(write(f->backend_out, text, strlen(text)), strlen(text));
        event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void test_lines_come_whole_whatever_their_pieces(void **state)
{
        struct fixture *f = *state;

        say(f, "{\"a\":");
        assert_string_equal(f->lines, "");
        say(f, "1}\r\nsecond\n\n\nth");
        say(f, "ird\n");
        assert_string_equal(f->lines, "{\"a\":1}|second|third|");
}

static void test_the_last_line_needs_no_newline(void **state)
{
        struct fixture *f = *state;

        say(f, "one\ntwo");
        f->backend_out = fd_close(f->backend_out);
        event_base_loop(f->base, EVLOOP_NONBLOCK);
        assert_string_equal(f->lines, "one|two|");
        assert_int_equal(f->n_broken, 1);
}

static void test_a_line_too_long_is_skipped_and_counted(void **state)
{
        struct fixture *f = *state;
        char chunk[701];

        memset(chunk, 'x', 700);
        chunk[700] = '\0';
        for (unsigned i = 0; i < 10; i++)
                say(f, chunk);
        assert_int_equal(f->n_long, 0);
        say(f, "end\nnext\n");
        assert_int_equal(f->n_long, 1);
        assert_int_equal(f->long_size, 7003);
        assert_string_equal(f->lines, "next|");
}

static void test_a_line_too_long_in_one_piece(void **state)
{
        struct fixture *f = *state;
        char text[LINE_MAX_BYTES + 20] = "";

        memset(text, 'x', LINE_MAX_BYTES + 1);
        strcat(text, "\nok\n");
        say(f, text);
        assert_int_equal(f->n_long, 1);
        assert_int_equal(f->long_size, LINE_MAX_BYTES + 1);
        assert_string_equal(f->lines, "ok|");
}

static void test_a_line_too_long_tells_which_request_it_answers(void **state)
{
        static const struct { const char *start, *end, *id; } lines[] = {
                { "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"", "\"}\n", "7" },
                { "{\"result\":{\"id\":1,\"x\":\"", "\"},\"id\":\"last\"}\r\n", "\"last\"" },
                { "{\"id\":8,\"method\":\"", "\"}\n", "" },
                { "", "\n", "" },
        };
        struct fixture *f = *state;
        char text[LINE_MAX_BYTES * 4];

        for (size_t i = 0; i < ELEMENTSOF(lines); i++)
                for (int size = LINE_MAX_BYTES; size <= LINE_MAX_BYTES * 3; size += LINE_MAX_BYTES) {
                        (void) snprintf(text, sizeof(text), "%s%0*d%s", lines[i].start, size + 1, 0, lines[i].end);
                        say(f, text);
                        assert_string_equal(f->long_id, lines[i].id);
                }
        assert_int_equal(f->n_long, 3 * ELEMENTSOF(lines));
        assert_string_equal(f->lines, "");
}

static void test_paused_output_waits(void **state)
{
        struct fixture *f = *state;

        stdio_pipe_pause(f->pipe, true);
        say(f, "one\n");
        assert_string_equal(f->lines, "");
        stdio_pipe_pause(f->pipe, false);
        event_base_loop(f->base, EVLOOP_NONBLOCK);
        assert_string_equal(f->lines, "one|");
}

static void test_what_a_dead_backend_wrote_is_still_read(void **state)
{
        struct fixture *f = *state;

        stdio_pipe_pause(f->pipe, true);
        assert_int_equal(write(f->backend_out, "last\nwords", 10), 10);
        f->backend_out = fd_close(f->backend_out);
        stdio_pipe_drain(f->pipe);
        assert_string_equal(f->lines, "last|words|");
        assert_int_equal(f->n_broken, 0);
}

/* Takes everything the backend can read now; the loop refills the pipe. */
static size_t backend_reads(struct fixture *f, char *last)
{
        char chunk[65536];
        size_t total = 0;
        ssize_t n;

        while ((n = read(f->backend_in, chunk, sizeof(chunk))) > 0) {
                total += (size_t) n;
                *last = chunk[n - 1];
                event_base_loop(f->base, EVLOOP_NONBLOCK);
        }
        return total;
}

static void test_what_the_backend_does_not_read_is_queued(void **state)
{
        struct fixture *f = *state;
        size_t size = 1 << 20;
        char *message = malloc(size), last = 0;

        memset(message, 'm', size);
        assert_int_equal(stdio_pipe_write(f->pipe, message, size), 0);
        assert_true(stdio_pipe_queued_bytes(f->pipe) > size / 2);
        stdio_pipe_close_input(f->pipe);
        assert_int_equal(stdio_pipe_write(f->pipe, "late", 4), -EPIPE);
        assert_int_equal(backend_reads(f, &last), size + 1);
        assert_int_equal(last, '\n');
        assert_int_equal(stdio_pipe_queued_bytes(f->pipe), 0);
        assert_int_equal(read(f->backend_in, &last, 1), 0); /* closed once all was written */
        free(message);
}

static void test_a_backend_that_closes_its_input_is_broken(void **state)
{
        struct fixture *f = *state;

        f->backend_in = fd_close(f->backend_in);
        assert_int_equal(stdio_pipe_write(f->pipe, "x", 1), 0);
        assert_int_equal(f->n_broken, 0);
        event_base_loop(f->base, EVLOOP_NONBLOCK);
        assert_int_equal(f->n_broken, 1);
        assert_int_equal(stdio_pipe_write(f->pipe, "x", 1), -EPIPE);
}

int main(void)
{
        signal(SIGPIPE, SIG_IGN);
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_lines_come_whole_whatever_their_pieces, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_last_line_needs_no_newline, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_line_too_long_is_skipped_and_counted, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_line_too_long_tells_which_request_it_answers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_line_too_long_in_one_piece, setup, teardown),
                cmocka_unit_test_setup_teardown(test_paused_output_waits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_a_dead_backend_wrote_is_still_read, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_the_backend_does_not_read_is_queued, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_backend_that_closes_its_input_is_broken, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
