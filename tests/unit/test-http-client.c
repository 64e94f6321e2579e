/* The client role, and the two ways to get a socket: connecting and accepting. */
#include "tests/unit/http-side.h"

#include "common/fd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

static struct http_slice slice(const char *text)
{
        return (struct http_slice) { text, strlen(text) };
}

static void ask(struct side *s, const char *method, const char *target)
{
        assert_int_equal(http_conn_start_request(s->conn, slice(method), slice(target)), 0);
        assert_int_equal(http_conn_add_header(s->conn, "Host", "a"), 0);
        assert_int_equal(http_conn_end(s->conn), 0);
}

static void test_asks_twice(void **state)
{
        struct side *s = *state;

        assert_true(http_conn_is_idle(s->conn));
        assert_true(http_conn_is_untouched(s->conn));
        ask(s, "GET", "/1");
        assert_false(http_conn_is_idle(s->conn));
        assert_false(http_conn_is_untouched(s->conn));
        assert_string_equal(peer_read(s), "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
        peer_send(s, ANSWER);
        assert_string_equal(s->log, "200 hi.");
        assert_true(http_conn_is_idle(s->conn));
        ask(s, "GET", "/2");
        peer_send(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        assert_string_equal(s->log, "200 hi.200 a");
        peer_send(s, "0\r\n\r\n");
        assert_string_equal(s->log, "200 hi.200 a.");
        assert_true(http_conn_is_idle(s->conn));
        peer_close(s);
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

static void send_body(struct side *s, enum http_framing framing)
{
        assert_int_equal(http_conn_begin_body(s->conn, framing, framing == HTTP_FRAMING_LENGTH ? 2 : 0), 0);
        if (framing != HTTP_FRAMING_NONE)
                assert_int_equal(http_conn_send(s->conn, "hi", 2), 0);
        assert_int_equal(http_conn_end(s->conn), 0);
}

static void test_framing_of_requests(void **state)
{
        static const struct {
                const char *method;
                enum http_framing framing;
                const char *request;
        } cases[] = {
                { "GET", HTTP_FRAMING_NONE, "GET / HTTP/1.1\r\n\r\n" },
                { "DELETE", HTTP_FRAMING_NONE, "DELETE / HTTP/1.1\r\n\r\n" },
                { "POST", HTTP_FRAMING_NONE, "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n" },
                { "PUT", HTTP_FRAMING_LENGTH, "PUT / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi" },
                { "POST", HTTP_FRAMING_CHUNKED, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" },
        };
        struct side *s = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(http_conn_start_request(s->conn, slice(cases[i].method), slice("/")), 0);
                send_body(s, cases[i].framing);
                assert_string_equal(peer_read(s), cases[i].request);
                peer_send(s, ANSWER);
                assert_true(http_conn_is_idle(s->conn));
        }
}

static void test_targets_that_would_break_the_head_are_refused(void **state)
{
        struct side *s = *state;

        assert_int_equal(http_conn_start_request(s->conn, slice("GET"), slice("/a b")), -EINVAL);
        assert_int_equal(http_conn_start_request(s->conn, slice("GET"), slice("/\r\nX: y")), -EINVAL);
        assert_int_equal(http_conn_start_request(s->conn, slice("GET"), slice("")), -EINVAL);
        assert_int_equal(http_conn_start_request(s->conn, slice("G T"), slice("/")), -EINVAL);
        assert_int_equal(http_conn_start_response(s->conn, 200), -EINVAL);
        ask(s, "GET", "/");
        assert_int_equal(http_conn_start_request(s->conn, slice("GET"), slice("/")), -EALREADY);
}

static void test_answers_without_body(void **state)
{
        struct side *s = *state;

        ask(s, "HEAD", "/");
        peer_send(s, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
        ask(s, "GET", "/");
        peer_send(s, "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n");
        ask(s, "GET", "/");
        peer_send(s, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
        assert_string_equal(s->log, "200 .304 .204 .");
        assert_true(http_conn_is_idle(s->conn));
}

static void test_reads_until_eof(void **state)
{
        struct side *s = *state;

        ask(s, "GET", "/");
        peer_send(s, "HTTP/1.1 200 OK\r\n\r\nall of");
        peer_send(s, " it");
        assert_string_equal(s->log, "200 all of it");
        peer_close(s);
        assert_string_equal(s->log, "200 all of it.");
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

static void test_errors_of_answers(void **state)
{
        static const struct {
                const char *bytes;
                int error;
                const char *log;
        } cases[] = {
                { "", 0, "" },
                { "HTTP/1.1 200", -ECONNRESET, "" },
                { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", -ECONNRESET, "200 ab" },
                { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", -ECONNRESET, "200 a" },
                { "nonsense", -EPROTO, "" },
                { "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", -EPROTO, "" },
                { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", -EFBIG, "" },
                { ANSWER "more", -EPROTO, "200 hi." },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                void *fresh;

                side_setup_client(&fresh);
                struct side *s = fresh;

                s->limits.body_bytes_max = cases[i].error == -EFBIG ? 4 : 0;
                ask(s, "GET", "/");
                peer_send(s, cases[i].bytes);
                peer_close(s);
                assert_true(s->is_closed);
                assert_int_equal(s->error, cases[i].error);
                assert_string_equal(s->log, cases[i].log);
                side_teardown(&fresh);
        }
}

static void test_unasked_answer_is_an_error(void **state)
{
        struct side *s = *state;

        peer_send(s, ANSWER);
        assert_true(s->is_closed);
        assert_int_equal(s->error, -EPROTO);
        assert_string_equal(s->log, "");
}

static void test_connection_close_ends_after_the_answer(void **state)
{
        struct side *s = *state;

        ask(s, "GET", "/");
        peer_send(s, LAST_ANSWER);
        assert_string_equal(s->log, "200 hi.");
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

static void side_pause(struct side *s)
{
        http_conn_pause(s->conn);
}

static void test_what_was_said_before_closing_is_heard_after_resume(void **state)
{
        struct side *s = *state;

        s->at_head = side_pause;
        ask(s, "GET", "/");
        peer_send(s, ANSWER);
        peer_close(s);
        assert_false(s->is_closed);
        assert_string_equal(s->log, "200 ");
        http_conn_resume(s->conn);
        side_pump(s);
        assert_string_equal(s->log, "200 hi.");
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

/* A server that refuses a body answers, closes, and never reads it. */
static void test_answer_is_heard_although_the_request_could_not_be_sent(void **state)
{
        struct side *s = *state;
        char data[1024] = "";

        assert_int_equal(http_conn_start_request(s->conn, slice("POST"), slice("/")), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_CHUNKED, 0), 0);
        side_pump(s);
        (void) peer_read(s);
        assert_int_equal(write(s->peer, ANSWER, strlen(ANSWER)), strlen(ANSWER));
        s->peer = fd_close(s->peer);
        assert_int_equal(http_conn_send(s->conn, data, sizeof(data)), 0);
        (void) http_conn_end(s->conn);
        side_pump(s);
        assert_string_equal(s->log, "200 hi.");
        assert_true(s->is_closed);
}

static void test_early_answer_leaves_the_request_to_be_finished(void **state)
{
        struct side *s = *state;

        assert_int_equal(http_conn_start_request(s->conn, slice("POST"), slice("/")), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_LENGTH, 2), 0);
        side_pump(s);
        peer_send(s, ANSWER);
        assert_string_equal(s->log, "200 hi.");
        assert_false(http_conn_is_idle(s->conn));
        assert_int_equal(http_conn_send(s->conn, "hi", 2), 0);
        assert_int_equal(http_conn_end(s->conn), 0);
        assert_true(http_conn_is_idle(s->conn));
}

static void ask_again(struct side *s)
{
        assert_true(http_conn_is_idle(s->conn));
        s->at_end = NULL;
        ask(s, "HEAD", "/again");
}

static void test_next_request_may_start_inside_of_on_end(void **state)
{
        struct side *s = *state;

        s->at_end = ask_again;
        ask(s, "GET", "/");
        (void) peer_read(s);
        peer_send(s, ANSWER);
        assert_string_equal(peer_read(s), "HEAD /again HTTP/1.1\r\nHost: a\r\n\r\n");
        peer_send(s, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        assert_string_equal(s->log, "200 hi.200 .");
        assert_true(http_conn_is_idle(s->conn));
}

static void test_any_callback_may_free(void **state)
{
        for (int callback = 0; callback < 3; callback++) {
                void *fresh;

                side_setup_client(&fresh);
                struct side *s = fresh;

                s->at_head = callback == 0 ? side_free : NULL;
                s->at_body = callback == 1 ? side_free : NULL;
                s->at_end = callback == 2 ? side_free : NULL;
                ask(s, "GET", "/");
                peer_send(s, LAST_ANSWER);
                assert_null(s->conn);
                side_teardown(&fresh);
        }
}

/* ---- connecting ------------------------------------------------------------------------------- */

/* A bound TCP socket of loopback and its port. */
static int bound_socket(uint16_t *ret_port)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (const struct sockaddr *) &address, size), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &size), 0);
        *ret_port = ntohs(address.sin_port);
        return fd;
}

static void side_replace(struct side *s, enum http_role role, int fd)
{
        assert_true(fd >= 0);
        http_conn_free(s->conn);
        assert_int_equal(http_conn_new(s->base, fd, role, &s->limits, &side_ops, s, &s->conn), 0);
}

static void test_refused_connections(void **state)
{
        struct side *s = *state;
        uint16_t port;
        _unused_ _cleanup_fd_ int bound = bound_socket(&port);
        char path[128];

        memset(path, 'x', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(http_connect_unix("/nonexistent/socket"), -ENOENT);
        assert_int_equal(http_connect_unix(path), -ENAMETOOLONG);
        assert_int_equal(http_connect_tcp("localhost", 1), -EINVAL);

        int fd = http_connect_tcp("127.0.0.1", port);

        if (fd == -ECONNREFUSED)
                return;
        side_replace(s, HTTP_CLIENT, fd);
        assert_int_equal(http_conn_start_request(s->conn, slice("GET"), slice("/")), 0);
        (void) http_conn_end(s->conn); /* -EPIPE where the refusal is known already */
        assert_true(http_conn_is_untouched(s->conn));
        side_pump_until_closed(s);
        assert_int_equal(s->error, -ECONNREFUSED);
}

/* ---- accepting -------------------------------------------------------------------------------- */

struct door {
        struct side *side;
        struct http_listener *listener;
        unsigned n_accepted;
        bool frees;
};

static void on_accept(struct http_listener *listener, int fd, void *userdata)
{
        struct door *door = userdata;

        door->n_accepted++;
        side_replace(door->side, HTTP_SERVER, fd);
        if (door->frees)
                door->listener = http_listener_free(listener);
}

static void test_accepting(void **state)
{
        struct side *s = *state;
        struct door door = { .side = s };
        uint16_t port;
        int is_on = 0, bound = bound_socket(&port);
        socklen_t size = sizeof(is_on);

        assert_int_equal(listen(bound, 8), 0);
        assert_int_equal(http_listener_new(s->base, bound, true, on_accept, &door, &door.listener), 0);
        _unused_ _cleanup_fd_ int first = http_connect_tcp("127.0.0.1", port);

        side_pump(s);
        assert_int_equal(door.n_accepted, 1);
        assert_int_equal(getsockopt(http_conn_fd(s->conn), IPPROTO_TCP, TCP_NODELAY, &is_on, &size), 0);
        assert_true(is_on);

        http_listener_pause(door.listener);
        _unused_ _cleanup_fd_ int second = http_connect_tcp("127.0.0.1", port);

        side_pump(s);
        assert_int_equal(door.n_accepted, 1);
        http_listener_resume(door.listener);
        side_pump(s);
        assert_int_equal(door.n_accepted, 2);

        door.frees = true;
        _cleanup_fd_ int third = http_connect_tcp("127.0.0.1", port);
        _cleanup_fd_ int fourth = http_connect_tcp("127.0.0.1", port);

        side_pump(s);
        assert_int_equal(door.n_accepted, 3);
        assert_null(door.listener);
        assert_int_equal(fd_nonblock(bound, true), 0); /* still open: the caller kept it */
        fd_close(bound);
        assert_true(third >= 0 && fourth >= 0);
}

/* Trying again at once would spin until somebody else closes a descriptor. */
static void test_accepting_waits_for_descriptors(void **state)
{
        struct side *s = *state;
        struct door door = { .side = s };
        struct rlimit limit, none;
        uint16_t port;
        int bound = bound_socket(&port);

        assert_int_equal(listen(bound, 8), 0);
        assert_int_equal(http_listener_new(s->base, bound, false, on_accept, &door, &door.listener), 0);
        _cleanup_fd_ int client = http_connect_tcp("127.0.0.1", port);
        int highest = fcntl(client, F_DUPFD_CLOEXEC, 3);

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        none = (struct rlimit) { .rlim_cur = (rlim_t) highest, .rlim_max = limit.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        usec_t start = now_usec();

        side_pump(s);
        assert_int_equal(door.n_accepted, 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        while (door.n_accepted == 0)
                assert_int_equal(event_base_loop(s->base, EVLOOP_ONCE), 0);
        assert_true(now_usec() - start >= 90 * USEC_PER_MSEC);
        fd_close(highest);
        http_listener_free(door.listener);
}

/* Without an end of its own, only a reset tells a 1.0 client that the answer is not complete. */
static void test_aborted_answer_to_1_0_is_a_reset(void **state)
{
        struct side *s = *state;
        struct door door = { .side = s };
        uint16_t port;
        char text[256];
        int bound = bound_socket(&port);

        assert_int_equal(listen(bound, 8), 0);
        assert_int_equal(http_listener_new(s->base, bound, false, on_accept, &door, &door.listener), 0);
        _cleanup_fd_ int client = http_connect_tcp("127.0.0.1", port);

        side_pump(s);
        assert_int_equal(write(client, "GET / HTTP/1.0\r\n\r\n", 18), 18);
        while (s->log_size < strlen("GET / ."))
                assert_int_equal(event_base_loop(s->base, EVLOOP_ONCE), 0);
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_CHUNKED, 0), 0);
        side_pump(s);
        assert_true(read(client, text, sizeof(text)) > 0);
        http_conn_abort(s->conn);
        side_pump(s);
        assert_true(s->is_closed);
        assert_int_equal(read(client, text, sizeof(text)), -1);
        assert_int_equal(errno, ECONNRESET);
        http_listener_free(door.listener);
}

#define CLIENT_TEST(name) cmocka_unit_test_setup_teardown(name, side_setup_client, side_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CLIENT_TEST(test_asks_twice),
                CLIENT_TEST(test_framing_of_requests),
                CLIENT_TEST(test_targets_that_would_break_the_head_are_refused),
                CLIENT_TEST(test_answers_without_body),
                CLIENT_TEST(test_reads_until_eof),
                cmocka_unit_test(test_errors_of_answers),
                CLIENT_TEST(test_unasked_answer_is_an_error),
                CLIENT_TEST(test_connection_close_ends_after_the_answer),
                CLIENT_TEST(test_what_was_said_before_closing_is_heard_after_resume),
                CLIENT_TEST(test_answer_is_heard_although_the_request_could_not_be_sent),
                CLIENT_TEST(test_early_answer_leaves_the_request_to_be_finished),
                CLIENT_TEST(test_next_request_may_start_inside_of_on_end),
                cmocka_unit_test(test_any_callback_may_free),
                CLIENT_TEST(test_refused_connections),
                CLIENT_TEST(test_accepting),
                CLIENT_TEST(test_accepting_waits_for_descriptors),
                CLIENT_TEST(test_aborted_answer_to_1_0_is_a_reset),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
