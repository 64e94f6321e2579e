#include "common/http/http.h"

#include "common/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

/* One connection under test, its owner, and the raw other end of its socket. */
struct side {
        struct event_base *base;
        struct http_conn *conn;
        int peer;
        char log[4096]; /* what the owner was told */
        size_t log_size;
        bool is_closed;
        int error;
        unsigned n_drained;
        struct http_limits limits;
        /* what the owner does, at the end of a message unless it says otherwise */
        void (*at_head)(struct side *side, const struct http_head *head);
        void (*at_body)(struct side *side);
        void (*at_end)(struct side *side);
        void (*at_error)(struct side *side);
};

static void _printf_(2, 3) tell(struct side *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        int n = vsnprintf(s->log + s->log_size, sizeof(s->log) - s->log_size, format, args);
        va_end(args);
        assert_in_range(n, 0, sizeof(s->log) - s->log_size - 1);
        s->log_size += (size_t) n;
}

static void on_head(struct http_conn *conn, const struct http_head *head, void *userdata)
{
        struct side *s = userdata;

        if (head->status > 0)
                tell(s, "%u ", head->status);
        else
                tell(s, "%.*s %.*s ", (int) head->method_name.size, head->method_name.data, (int) head->target.size,
                     head->target.data);
        assert_ptr_equal(http_conn_head(conn), head);
        if (s->at_head)
                s->at_head(s, head);
}

static void on_body(struct http_conn *conn, const void *data, size_t size, void *userdata)
{
        struct side *s = userdata;

        if (size < 64)
                tell(s, "%.*s", (int) size, (const char *) data);
        if (s->at_body)
                s->at_body(s);
}

static void on_end(struct http_conn *conn, void *userdata)
{
        struct side *s = userdata;

        tell(s, ".");
        if (s->at_end)
                s->at_end(s);
}

static void on_drained(struct http_conn *conn, void *userdata)
{
        struct side *s = userdata;

        s->n_drained++;
}

static void on_error(struct http_conn *conn, unsigned status, const char *why, void *userdata)
{
        struct side *s = userdata;

        assert_non_null(why);
        tell(s, "!%u", status);
        if (s->at_error)
                s->at_error(s);
}

static void on_close(struct http_conn *conn, int error, void *userdata)
{
        struct side *s = userdata;

        assert_false(s->is_closed);
        s->is_closed = true;
        s->error = error;
        event_base_loopbreak(s->base);
}

static const struct http_conn_ops ops = {
        .on_head = on_head, .on_body = on_body, .on_end = on_end,
        .on_drained = on_drained, .on_error = on_error, .on_close = on_close,
};

/* ---- fixture ---------------------------------------------------------------------------------- */

static struct side *side_new(enum http_role role)
{
        struct side *s = calloc(1, sizeof(*s));
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        s->base = event_base_new();
        s->limits = http_limits_default();
        assert_int_equal(http_conn_new(s->base, fds[0], role, &s->limits, &ops, s, &s->conn), 0);
        s->peer = fds[1];
        return s;
}

static int setup_server(void **state)
{
        *state = side_new(HTTP_SERVER);
        return 0;
}

static int setup_client(void **state)
{
        *state = side_new(HTTP_CLIENT);
        return 0;
}

static int teardown(void **state)
{
        struct side *s = *state;

        http_conn_free(s->conn);
        fd_close(s->peer);
        event_base_free(s->base);
        free(s);
        return 0;
}

/* Runs what is ready now: everything local is, at once. */
static void pump(struct side *s)
{
        for (int i = 0; i < 8; i++)
                event_base_loop(s->base, EVLOOP_NONBLOCK);
}


static void peer_send(struct side *s, const char *text)
{
        assert_int_equal(write(s->peer, text, strlen(text)), strlen(text));
        pump(s);
}

/* All that the peer can read now. */
static const char *peer_read(struct side *s)
{
        static char text[8192];
        ssize_t n = read(s->peer, text, sizeof(text) - 1);

        text[n > 0 ? n : 0] = '\0';
        return text;
}


/* Reads first: closing with unread bytes would be a reset. */
static void peer_close(struct side *s)
{
        (void) peer_read(s);
        s->peer = fd_close(s->peer);
        pump(s);
}

static void respond_ok(struct side *s)
{
        assert_int_equal(http_conn_respond(s->conn, 200, "text/plain", "hi", 2), 0);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"

/* ---- server ----------------------------------------------------------------------------------- */

static void test_answers_and_keeps_alive(void **state)
{
        struct side *s = *state;

        s->at_end = respond_ok;
        peer_send(s, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_string_equal(peer_read(s), OK);
        peer_send(s, "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        assert_string_equal(peer_read(s), OK);
        assert_string_equal(s->log, "GET /1 .POST /2 abc.");
        assert_false(s->is_closed);
}

static void test_pipelined_requests_wait_for_the_answer(void **state)
{
        struct side *s = *state;

        peer_send(s, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HT");
        assert_string_equal(s->log, "GET /1 .");
        respond_ok(s);
        pump(s);
        assert_string_equal(s->log, "GET /1 .GET /2 .");
        respond_ok(s);
        pump(s);
        assert_string_equal(peer_read(s), OK OK);
        peer_send(s, "TP/1.1\r\nHost: a\r\n\r\n");
        assert_string_equal(s->log, "GET /1 .GET /2 .GET /3 .");
}

static void test_peer_close_during_an_answer_is_told(void **state)
{
        struct side *s = *state;

        peer_send(s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_CHUNKED, 0), 0);
        pump(s);
        peer_close(s);
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

static void test_stream_leaves_piece_by_piece(void **state)
{
        struct side *s = *state;

        peer_send(s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_CHUNKED, 0), 0);
        assert_int_equal(http_conn_send(s->conn, "first", 5), 0);
        pump(s);
        assert_string_equal(peer_read(s), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        assert_int_equal(http_conn_send(s->conn, "", 0), 0);
        assert_int_equal(http_conn_send(s->conn, "sixteen bytes ok", 16), 0);
        assert_int_equal(http_conn_end(s->conn), 0);
        assert_string_equal(peer_read(s), "10\r\nsixteen bytes ok\r\n0\r\n\r\n");
}

/* ---- client ----------------------------------------------------------------------------------- */

static void client_get(struct side *s, const char *target)
{
        assert_int_equal(http_conn_start_request(s->conn, (struct http_slice) { "GET", 3 },
                                                 (struct http_slice) { target, strlen(target) }), 0);
        assert_int_equal(http_conn_add_header(s->conn, "Host", "a"), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_NONE, 0), 0);
        assert_int_equal(http_conn_end(s->conn), 0);
}

static void test_client_asks_twice(void **state)
{
        struct side *s = *state;

        assert_true(http_conn_is_idle(s->conn));
        assert_true(http_conn_is_untouched(s->conn));
        client_get(s, "/1");
        assert_false(http_conn_is_idle(s->conn));
        assert_false(http_conn_is_untouched(s->conn));
        assert_string_equal(peer_read(s), "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
        peer_send(s, OK);
        assert_string_equal(s->log, "200 hi.");
        assert_true(http_conn_is_idle(s->conn));
        client_get(s, "/2");
        peer_send(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        assert_string_equal(s->log, "200 hi.200 a");
        peer_send(s, "0\r\n\r\n");
        assert_string_equal(s->log, "200 hi.200 a.");
        assert_true(http_conn_is_idle(s->conn));
        peer_close(s);
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

static void test_client_reads_until_eof(void **state)
{
        struct side *s = *state;

        client_get(s, "/");
        peer_send(s, "HTTP/1.1 200 OK\r\n\r\nall of");
        peer_send(s, " it");
        assert_string_equal(s->log, "200 all of it");
        peer_close(s);
        assert_string_equal(s->log, "200 all of it.");
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_answers_and_keeps_alive, setup_server, teardown),
                cmocka_unit_test_setup_teardown(test_pipelined_requests_wait_for_the_answer, setup_server, teardown),
                cmocka_unit_test_setup_teardown(test_peer_close_during_an_answer_is_told, setup_server, teardown),
                cmocka_unit_test_setup_teardown(test_stream_leaves_piece_by_piece, setup_server, teardown),
                cmocka_unit_test_setup_teardown(test_client_asks_twice, setup_client, teardown),
                cmocka_unit_test_setup_teardown(test_client_reads_until_eof, setup_client, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
