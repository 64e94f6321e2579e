/* Backpressure in both directions, and every limit in time. */
#include "tests/unit/http-side.h"

#include "common/fd.h"

#include <fcntl.h>
#include <stdio.h>

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define BLOCK_SIZE ((size_t) 64 * 1024)

static const char *block(void)
{
        static char bytes[BLOCK_SIZE];

        for (size_t i = 0; i < BLOCK_SIZE; i++)
                bytes[i] = (char) ('a' + i % 23);
        return bytes;
}

static uint64_t hash(uint64_t h, const char *data, size_t size)
{
        for (size_t i = 0; i < size; i++)
                h = (h ^ (unsigned char) data[i]) * UINT64_C(0x100000001b3);
        return h;
}

/* ---- output ----------------------------------------------------------------------------------- */

static void begin_answer(struct side *s, enum http_framing framing, uint64_t length)
{
        peer_send(s, GET);
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_begin_body(s->conn, framing, length), 0);
}

static void test_full_output_is_told_and_drained_once(void **state)
{
        struct side *s = *state;
        uint64_t sent = 0, received = 0;

        begin_answer(s, HTTP_FRAMING_CHUNKED, 0);
        while (!http_conn_is_full(s->conn)) {
                assert_int_equal(http_conn_send(s->conn, block(), BLOCK_SIZE), 0);
                sent += BLOCK_SIZE;
                side_pump(s);
        }
        assert_in_range(http_conn_pending_bytes(s->conn), s->limits.out_bytes_high, s->limits.out_bytes_high + 2 * BLOCK_SIZE);
        assert_int_equal(s->n_drained, 0);
        for (size_t n; (n = strlen(peer_read(s))) > 0; side_pump(s))
                received += n;
        assert_true(received > sent);
        assert_int_equal(http_conn_pending_bytes(s->conn), 0);
        assert_int_equal(http_conn_send(s->conn, "more", 4), 0);
        side_pump(s);
        assert_int_equal(s->n_drained, 1);
}

/* What arrives is what was sent, whatever the sizes and however slowly it is read. */
static void test_large_answers_arrive_whole(void **state)
{
        static const size_t sizes[] = { 1, 100, 16 * 1024, 5, BLOCK_SIZE, 40000, BLOCK_SIZE, BLOCK_SIZE, 2000, BLOCK_SIZE };
        struct side *s = *state;
        uint64_t sent = 0xcbf29ce484222325, received = sent, total = 0;
        struct evbuffer *buffer = evbuffer_new();

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                total += sizes[i];
        begin_answer(s, HTTP_FRAMING_LENGTH, total);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                sent = hash(sent, block(), sizes[i]);
                evbuffer_add(buffer, block(), sizes[i]);
                assert_int_equal(i % 3 == 0 ? http_conn_send_buffer(s->conn, buffer)
                                            : http_conn_send(s->conn, block(), sizes[i]), 0);
                evbuffer_drain(buffer, evbuffer_get_length(buffer));
        }
        evbuffer_free(buffer);
        assert_int_equal(http_conn_end(s->conn), 0);
        const char *text = peer_read(s);
        const char *body = strstr(text, "\r\n\r\n") + 4;

        for (size_t n = strlen(body); n > 0; n = strlen(body)) {
                received = hash(received, body, n);
                side_pump(s);
                body = peer_read(s);
        }
        assert_true(received == sent);
        assert_true(http_conn_is_idle(s->conn));
}

static void test_close_waits_for_the_flush(void **state)
{
        struct side *s = *state;
        size_t received = 0, size = 64 * BLOCK_SIZE;

        begin_answer(s, HTTP_FRAMING_LENGTH, size);
        for (size_t i = 0; i < size; i += BLOCK_SIZE)
                assert_int_equal(http_conn_send(s->conn, block(), BLOCK_SIZE), 0);
        http_conn_set_close(s->conn);
        assert_int_equal(http_conn_end(s->conn), 0);
        side_pump(s);
        assert_false(s->is_closed);
        for (size_t n; (n = strlen(peer_read(s))) > 0; side_pump(s))
                received += n;
        assert_true(received > size);
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

/* ---- input ------------------------------------------------------------------------------------ */

static void side_pause(struct side *s)
{
        http_conn_pause(s->conn);
}

static void test_paused_input_is_bounded_and_then_whole(void **state)
{
        struct side *s = *state;
        size_t total = 64 * BLOCK_SIZE, written = 0;
        char head[128];

        s->at_head = side_pause;
        snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", total);
        peer_send(s, head);
        for (ssize_t n; (n = write(s->peer, block(), BLOCK_SIZE)) > 0; side_pump(s))
                written += (size_t) n;
        assert_true(written < total / 2); /* the sockets' buffers and little more */
        assert_int_equal(s->body_bytes, 0);
        http_conn_resume(s->conn);
        side_pump(s);
        while (written < total) {
                ssize_t n = write(s->peer, block(), MIN_OF(BLOCK_SIZE, total - written));

                written += n > 0 ? (size_t) n : 0;
                side_pump(s);
        }
        assert_int_equal(s->body_bytes, total);
        assert_string_equal(s->log + s->log_size - 1, ".");
}

static void test_pause_inside_of_a_body(void **state)
{
        struct side *s = *state;

        s->at_body = side_pause;
        peer_send(s, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
        assert_string_equal(s->log, "POST / a");
        http_conn_resume(s->conn);
        side_pump(s);
        assert_string_equal(s->log, "POST / ab");
        s->at_body = NULL;
        http_conn_resume(s->conn);
        side_pump(s);
        assert_string_equal(s->log, "POST / ab.");
}

static void test_peer_close_while_paused_is_told(void **state)
{
        struct side *s = *state;

        s->at_head = side_pause;
        peer_send(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
        peer_close(s);
        assert_true(s->is_closed);
        assert_string_equal(s->log, "POST / ");
}

static void test_peer_close_behind_a_full_buffer_is_told(void **state)
{
        struct side *s = *state;

        s->at_head = side_pause;
        peer_send(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
        while (write(s->peer, block(), BLOCK_SIZE) > 0)
                side_pump(s);
        s->peer = fd_close(s->peer);
        side_pump_until_closed(s);
        assert_string_equal(s->log, "POST / ");
}

/* ---- time ------------------------------------------------------------------------------------- */

#define SOON (20 * USEC_PER_MSEC)

/* Limits in time are looked at when a connection begins. */
static void side_restart(struct side *s, enum http_role role)
{
        int fd = fcntl(http_conn_fd(s->conn), F_DUPFD_CLOEXEC, 3);

        http_conn_free(s->conn);
        assert_int_equal(http_conn_new(s->base, fd, role, &s->limits, &side_ops, s, &s->conn), 0);
}

static void test_idle_connection_is_closed(void **state)
{
        struct side *s = *state;
        usec_t start = now_usec();

        s->limits.idle_usec = SOON;
        side_restart(s, HTTP_SERVER);
        s->at_end = side_respond;
        peer_send(s, GET);
        side_pump_until_closed(s);
        assert_true(now_usec() - start >= SOON);
        assert_int_equal(s->error, 0);
        assert_string_equal(peer_read(s), ANSWER);
        assert_true(peer_sees_eof(s));
}

static void test_slow_head_is_refused(void **state)
{
        struct side *s = *state;

        s->limits.head_usec = SOON;
        side_restart(s, HTTP_SERVER);
        for (unsigned i = 0; s->log_size == 0; i++) { /* a byte now and then does not help */
                if (i < 100)
                        assert_int_equal(write(s->peer, i < 5 ? &"GET /"[i] : "x", 1), 1);
                assert_int_equal(event_base_loop(s->base, EVLOOP_ONCE), 0);
        }
        assert_string_equal(s->log, "!408");
        assert_non_null(strstr(peer_read(s), " 408 "));
}

static void test_waiting_for_a_head_is_not_slow(void **state)
{
        struct side *s = *state;

        s->limits.head_usec = SOON / 4;
        s->limits.idle_usec = SOON;
        side_restart(s, HTTP_SERVER);
        side_pump_until_closed(s);
        assert_string_equal(s->log, "");
}

static void test_silent_body_is_refused(void **state)
{
        struct side *s = *state;

        s->limits.body_usec = SOON;
        side_restart(s, HTTP_SERVER);
        peer_send(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
        while (s->log_size < strlen("POST / abc!408"))
                assert_int_equal(event_base_loop(s->base, EVLOOP_ONCE), 0);
        assert_string_equal(s->log, "POST / abc!408");
        assert_non_null(strstr(peer_read(s), " 408 "));
}

static void test_pausing_stops_the_clock_of_the_body(void **state)
{
        struct side *s = *state;

        s->limits.body_usec = SOON / 2;
        s->limits.write_usec = SOON * 2;
        side_restart(s, HTTP_SERVER);
        s->at_head = side_pause;
        peer_send(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_LENGTH, 100 * BLOCK_SIZE), 0);
        for (int i = 0; i < 100; i++)
                assert_int_equal(http_conn_send(s->conn, block(), BLOCK_SIZE), 0);
        side_pump_until_closed(s); /* by write_usec, the later one */
        assert_string_equal(s->log, "POST / ");
        assert_int_equal(s->error, -ETIMEDOUT);
}

static void test_peer_that_does_not_read_is_dropped(void **state)
{
        struct side *s = *state;
        usec_t start = now_usec();

        s->limits.write_usec = SOON;
        side_restart(s, HTTP_SERVER);
        begin_answer(s, HTTP_FRAMING_CHUNKED, 0);
        while (!http_conn_is_full(s->conn))
                assert_int_equal(http_conn_send(s->conn, block(), BLOCK_SIZE), 0);
        side_pump_until_closed(s);
        assert_true(now_usec() - start >= SOON);
        assert_int_equal(s->error, -ETIMEDOUT);
}

static void test_silent_answer_ends_the_client(void **state)
{
        struct side *s = *state;
        struct http_slice word = { "GET", 3 }, target = { "/", 1 };

        s->limits.body_usec = SOON;
        side_restart(s, HTTP_CLIENT);
        assert_int_equal(http_conn_start_request(s->conn, word, target), 0);
        assert_int_equal(http_conn_end(s->conn), 0);
        peer_send(s, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        side_pump_until_closed(s);
        assert_string_equal(s->log, "200 abc");
        assert_int_equal(s->error, -ETIMEDOUT);
}

static void test_lingering_ends(void **state)
{
        struct side *s = *state;

        peer_send(s, "GET /\r\n\r\n");
        assert_non_null(strstr(peer_read(s), " 400 "));
        assert_true(peer_sees_eof(s));
        assert_false(s->is_closed);
        side_pump_until_closed(s); /* although the peer stays */
        assert_int_equal(s->error, 0);
}

/* The timer of a client goes to sleep between messages, and what it gave back is there again. */
static void test_client_survives_its_rest(void **state)
{
        struct side *s = *state;
        struct http_slice word = { "GET", 3 }, target = { "/", 1 };
        struct timeval rest = usec_to_timeval(SOON);

        s->limits.write_usec = SOON / 4;
        side_restart(s, HTTP_CLIENT);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(http_conn_start_request(s->conn, word, target), 0);
                assert_int_equal(http_conn_end(s->conn), 0);
                assert_string_equal(peer_read(s), "GET / HTTP/1.1\r\n\r\n");
                peer_send(s, ANSWER);
                assert_true(http_conn_is_idle(s->conn));
                event_base_loopexit(s->base, &rest);
                assert_int_equal(event_base_dispatch(s->base), 0);
        }
        assert_string_equal(s->log, "200 hi.200 hi.200 hi.");
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, side_setup_server, side_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                SERVER_TEST(test_full_output_is_told_and_drained_once),
                SERVER_TEST(test_large_answers_arrive_whole),
                SERVER_TEST(test_close_waits_for_the_flush),
                SERVER_TEST(test_paused_input_is_bounded_and_then_whole),
                SERVER_TEST(test_pause_inside_of_a_body),
                SERVER_TEST(test_peer_close_while_paused_is_told),
                SERVER_TEST(test_peer_close_behind_a_full_buffer_is_told),
                SERVER_TEST(test_idle_connection_is_closed),
                SERVER_TEST(test_slow_head_is_refused),
                SERVER_TEST(test_waiting_for_a_head_is_not_slow),
                SERVER_TEST(test_silent_body_is_refused),
                SERVER_TEST(test_pausing_stops_the_clock_of_the_body),
                SERVER_TEST(test_peer_that_does_not_read_is_dropped),
                SERVER_TEST(test_silent_answer_ends_the_client),
                SERVER_TEST(test_lingering_ends),
                SERVER_TEST(test_client_survives_its_rest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
