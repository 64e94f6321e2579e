/* The server role: exchanges, framing of answers, refusals, ends. */
#include "tests/unit/http-side.h"

#include <stdio.h>
#include <sys/socket.h>

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

/* ---- exchanges -------------------------------------------------------------------------------- */

static void test_answers_and_keeps_alive(void **state)
{
        struct side *s = *state;

        s->at_end = side_respond;
        peer_send(s, GET("/1"));
        assert_string_equal(peer_read(s), ANSWER);
        peer_send(s, "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        assert_string_equal(peer_read(s), ANSWER);
        assert_string_equal(s->log, "GET /1 .POST /2 abc.");
        assert_true(http_conn_is_idle(s->conn));
}

static void test_every_split_of_a_pipeline(void **state)
{
        static const char bytes[] = GET("/1") "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                              "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n\r\n" GET("/3");
        struct side *s = *state;

        s->at_end = side_respond;
        for (size_t first = 1; first <= sizeof(bytes) - 1; first++) {
                assert_int_equal(write(s->peer, bytes, first), first);
                side_pump(s);
                peer_send(s, bytes + first);
                assert_string_equal(s->log, "GET /1 .POST /2 abc.GET /3 .");
                assert_string_equal(peer_read(s), ANSWER ANSWER ANSWER);
                s->log_size = 0;
        }
}

static void test_pipelined_requests_wait_for_the_answer(void **state)
{
        struct side *s = *state;

        peer_send(s, GET("/1") GET("/2") "GET /3 HT");
        assert_string_equal(s->log, "GET /1 .");
        side_respond(s);
        side_pump(s);
        assert_string_equal(s->log, "GET /1 .GET /2 .");
        side_respond(s);
        side_pump(s);
        assert_string_equal(peer_read(s), ANSWER ANSWER);
        peer_send(s, "TP/1.1\r\nHost: a\r\n\r\n");
        assert_string_equal(s->log, "GET /1 .GET /2 .GET /3 .");
}

static void test_answer_may_begin_at_the_head_and_end_later(void **state)
{
        struct side *s = *state;

        peer_send(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_true(http_conn_is_responding(s->conn));
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_CHUNKED, 0), 0);
        peer_send(s, "cd" GET("/2"));
        assert_string_equal(s->log, "POST / abcd.");
        assert_int_equal(http_conn_end(s->conn), 0);
        side_pump(s);
        assert_string_equal(s->log, "POST / abcd.GET /2 .");
        assert_false(http_conn_is_responding(s->conn));
}

static void test_stream_leaves_piece_by_piece(void **state)
{
        struct side *s = *state;

        peer_send(s, GET("/"));
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_CHUNKED, 0), 0);
        assert_int_equal(http_conn_send(s->conn, "first", 5), 0);
        side_pump(s);
        assert_string_equal(peer_read(s), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        assert_int_equal(http_conn_send(s->conn, "", 0), 0);
        assert_int_equal(http_conn_send(s->conn, "sixteen bytes ok", 16), 0);
        assert_int_equal(http_conn_end(s->conn), 0);
        assert_string_equal(peer_read(s), "10\r\nsixteen bytes ok\r\n0\r\n\r\n");
}

static void test_head_alone_leaves_without_a_body(void **state)
{
        struct side *s = *state;

        peer_send(s, GET("/"));
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        side_pump(s);
        assert_string_equal(peer_read(s), ""); /* half a head is held back */
        assert_int_equal(http_conn_add_headerf(s->conn, "X-N", "%d", 7), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_LENGTH, 3), 0);
        side_pump(s);
        assert_string_equal(peer_read(s), "HTTP/1.1 200 OK\r\nX-N: 7\r\nContent-Length: 3\r\n\r\n");
}

/* ---- framing of answers ----------------------------------------------------------------------- */

static void answer(struct side *s, unsigned status, enum http_framing framing)
{
        assert_int_equal(http_conn_start_response(s->conn, status), 0);
        assert_int_equal(http_conn_begin_body(s->conn, framing, framing == HTTP_FRAMING_LENGTH ? 2 : 0), 0);
        if (framing != HTTP_FRAMING_NONE)
                assert_int_equal(http_conn_send(s->conn, "hi", 2), 0);
        assert_int_equal(http_conn_end(s->conn), 0);
}

static void test_framing_of_answers(void **state)
{
        static const struct {
                const char *request;
                unsigned status;
                enum http_framing framing;
                const char *answer;
        } cases[] = {
                { GET("/"), 202, HTTP_FRAMING_NONE, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n" },
                { GET("/"), 204, HTTP_FRAMING_NONE, "HTTP/1.1 204 No Content\r\n\r\n" },
                { GET("/"), 204, HTTP_FRAMING_LENGTH, "HTTP/1.1 204 No Content\r\n\r\n" },
                { GET("/"), 204, HTTP_FRAMING_CHUNKED, "HTTP/1.1 204 No Content\r\n\r\n" },
                { GET("/"), 304, HTTP_FRAMING_NONE, "HTTP/1.1 304 Not Modified\r\n\r\n" },
                { GET("/"), 304, HTTP_FRAMING_LENGTH, "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n" },
                { "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, HTTP_FRAMING_LENGTH,
                  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" },
                { "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, HTTP_FRAMING_CHUNKED,
                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" },
                { "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, HTTP_FRAMING_NONE, "HTTP/1.1 200 OK\r\n\r\n" },
                { "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, HTTP_FRAMING_LENGTH,
                  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi" },
                { GET("/"), 299, HTTP_FRAMING_LENGTH, "HTTP/1.1 299 Unknown\r\nContent-Length: 2\r\n\r\nhi" },
        };
        struct side *s = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                peer_send(s, cases[i].request);
                answer(s, cases[i].status, cases[i].framing);
                assert_string_equal(peer_read(s), cases[i].answer);
        }
        assert_true(http_conn_is_idle(s->conn));
}

static void test_chunks_towards_1_0_end_with_the_connection(void **state)
{
        struct side *s = *state;

        peer_send(s, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        answer(s, 200, HTTP_FRAMING_CHUNKED);
        side_pump(s);
        assert_string_equal(peer_read(s), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi");
        assert_true(peer_sees_eof(s));
}

static void test_header_rules(void **state)
{
        struct side *s = *state;

        assert_int_equal(http_conn_start_response(s->conn, 200), -EINVAL); /* nobody asked */
        peer_send(s, GET("/"));
        assert_int_equal(http_conn_add_header(s->conn, "X", "y"), -EINVAL);
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_start_response(s->conn, 200), -EALREADY);
        assert_int_equal(http_conn_add_header(s->conn, "X", "a\r\nY: b"), -EINVAL);
        assert_int_equal(http_conn_add_header(s->conn, "X", "a\nb"), -EINVAL);
        assert_int_equal(http_conn_add_header(s->conn, "X: y", "z"), -EINVAL);
        assert_int_equal(http_conn_add_header(s->conn, "", "z"), -EINVAL);
        assert_int_equal(http_conn_add_header(s->conn, "content-length", "1"), -EINVAL);
        assert_int_equal(http_conn_add_header(s->conn, "Transfer-Encoding", "chunked"), -EINVAL);
        assert_int_equal(http_conn_add_header(s->conn, "Connection", "close"), -EINVAL);
        assert_int_equal(http_conn_add_header_slice(s->conn, (struct http_slice) { "X", 1 },
                                                    (struct http_slice) { "a\0b", 3 }), -EINVAL);
        assert_int_equal(http_conn_add_header(s->conn, "X", "\xc3\xa9\tlong enough for words"), 0);
        assert_int_equal(http_conn_add_header(s->conn, "Empty", ""), 0);
        assert_int_equal(http_conn_respond(s->conn, 0, NULL, NULL, 0), 0);
        assert_string_equal(peer_read(s), "HTTP/1.1 200 OK\r\nX: \xc3\xa9\tlong enough for words\r\nEmpty: \r\n"
                                          "Content-Length: 0\r\n\r\n");
}

static void test_body_longer_than_its_length_is_refused(void **state)
{
        struct side *s = *state;

        peer_send(s, GET("/"));
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_send(s->conn, "x", 1), -EINVAL);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_LENGTH, 2), 0);
        assert_int_equal(http_conn_send(s->conn, "abc", 3), -EMSGSIZE);
        assert_int_equal(http_conn_send(s->conn, "ab", 2), 0);
        assert_int_equal(http_conn_send(s->conn, "c", 1), -EMSGSIZE);
        assert_int_equal(http_conn_end(s->conn), 0);
        assert_string_equal(peer_read(s), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
}

static void test_body_shorter_than_its_length_ends_the_connection(void **state)
{
        struct side *s = *state;

        peer_send(s, GET("/"));
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_LENGTH, 3), 0);
        assert_int_equal(http_conn_send(s->conn, "ab", 2), 0);
        assert_int_equal(http_conn_end(s->conn), -EMSGSIZE);
        side_pump(s);
        assert_string_equal(peer_read(s), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab");
        assert_true(peer_sees_eof(s));
        assert_true(s->is_closed);
}

/* ---- Expect ----------------------------------------------------------------------------------- */

#define EXPECT "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static void side_pause(struct side *s)
{
        http_conn_pause(s->conn);
}

static void test_continue_is_sent_on_its_own(void **state)
{
        struct side *s = *state;

        s->at_end = side_respond;
        peer_send(s, EXPECT);
        assert_string_equal(peer_read(s), CONTINUE);
        peer_send(s, "ab");
        assert_string_equal(peer_read(s), ANSWER);
        peer_send(s, EXPECT "ab"); /* did not wait */
        assert_string_equal(peer_read(s), ANSWER);
}

static void test_continue_waits_for_resume(void **state)
{
        struct side *s = *state;

        s->at_head = side_pause;
        peer_send(s, EXPECT);
        assert_string_equal(peer_read(s), "");
        http_conn_resume(s->conn);
        side_pump(s);
        assert_string_equal(peer_read(s), CONTINUE);
}

static void test_final_answer_instead_of_continue_closes(void **state)
{
        struct side *s = *state;

        s->at_head = side_respond;
        peer_send(s, EXPECT);
        assert_string_equal(peer_read(s), LAST_ANSWER);
        assert_true(peer_sees_eof(s));
        assert_false(s->is_closed); /* what is on its way must not turn into a reset */
        peer_send(s, "ab");
        assert_string_equal(s->log, "POST / ");
        peer_close(s);
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

/* ---- refusals --------------------------------------------------------------------------------- */

static void test_bad_request_is_answered_and_closed(void **state)
{
        struct side *s = *state;

        peer_send(s, "GET / HTTP/1.1\r\n\r\nand more");
        assert_string_equal(s->log, "!400");
        assert_string_equal(peer_read(s), "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_true(peer_sees_eof(s));
        peer_close(s);
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

static void test_owner_may_word_the_refusal(void **state)
{
        struct side *s = *state;

        s->at_error = side_respond;
        peer_send(s, "GET / HTTP/1.1\r\n\r\n");
        assert_string_equal(peer_read(s), LAST_ANSWER);
        assert_true(peer_sees_eof(s));
}

static void test_good_requests_before_a_bad_one_are_answered(void **state)
{
        struct side *s = *state;

        s->at_end = side_respond;
        peer_send(s, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /\r\n\r\n");
        assert_string_equal(peer_read(s), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n"
                                          "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

static void test_broken_body_after_the_answer_began_breaks_it(void **state)
{
        struct side *s = *state;

        peer_send(s, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_CHUNKED, 0), 0);
        peer_send(s, "x\r\n");
        assert_string_equal(s->log, "POST / a");
        assert_true(s->is_closed);
        assert_int_equal(s->error, -EPROTO);
}

static void test_too_large_bodies(void **state)
{
        struct side *s = *state;

        s->limits.body_bytes_max = 3;
        s->at_end = side_respond;
        peer_send(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        assert_string_equal(peer_read(s), ANSWER);
        peer_send(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd");
        assert_string_equal(peer_read(s),
                            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_string_equal(s->log, "POST / abc.!413");
}

static void test_too_large_head(void **state)
{
        struct side *s = *state;
        char request[512];

        s->limits.head_bytes_max = 256;
        snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: a\r\nX: %0300d\r\n\r\n", 0);
        peer_send(s, request);
        assert_string_equal(s->log, "!431");
        assert_non_null(strstr(peer_read(s), " 431 "));
}

/* ---- an answer before the end of its request --------------------------------------------------- */

static void test_small_rest_of_an_answered_request_is_swallowed(void **state)
{
        struct side *s = *state;

        s->at_head = side_respond;
        peer_send(s, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
        assert_string_equal(peer_read(s), ANSWER);
        peer_send(s, "def" GET("/2"));
        assert_string_equal(peer_read(s), ANSWER);
        assert_string_equal(s->log, "POST /1 GET /2 "); /* no further word about an answered request */
}

static void test_large_rest_of_an_answered_request_closes(void **state)
{
        struct side *s = *state;
        char block[4096] = "";

        s->at_head = side_respond;
        peer_send(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
        assert_string_equal(peer_read(s), ANSWER);
        for (unsigned i = 0; i < 1000 && !s->is_closed; i++) {
                if (write(s->peer, block, sizeof(block)) < 0)
                        break;
                side_pump(s);
        }
        assert_true(peer_sees_eof(s));
        assert_true(s->is_closed); /* the lingering is bounded as well */
        assert_string_equal(s->log, "POST / ");
}

/* ---- ends ------------------------------------------------------------------------------------- */

static void test_connection_close_is_honoured(void **state)
{
        struct side *s = *state;

        s->at_end = side_respond;
        peer_send(s, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_string_equal(peer_read(s), LAST_ANSWER);
        assert_true(peer_sees_eof(s));
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

static void test_set_close(void **state)
{
        struct side *s = *state;

        peer_send(s, GET("/"));
        http_conn_set_close(s->conn);
        side_respond(s);
        side_pump(s);
        assert_string_equal(peer_read(s), LAST_ANSWER);
        assert_true(s->is_closed);
}

static void test_set_close_while_idle(void **state)
{
        struct side *s = *state;

        http_conn_set_close(s->conn);
        assert_false(s->is_closed); /* callbacks come from the loop */
        side_pump(s);
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
        assert_true(peer_sees_eof(s));
}

static void test_abort_sends_no_final_chunk(void **state)
{
        struct side *s = *state;

        peer_send(s, GET("/"));
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_CHUNKED, 0), 0);
        assert_int_equal(http_conn_send(s->conn, "a", 1), 0);
        http_conn_abort(s->conn);
        assert_int_equal(http_conn_send(s->conn, "b", 1), -EPIPE);
        side_pump(s);
        assert_string_equal(peer_read(s), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        assert_true(peer_sees_eof(s));
        assert_true(s->is_closed);
}

static void test_peer_close_during_an_answer_is_told(void **state)
{
        struct side *s = *state;

        peer_send(s, GET("/"));
        assert_int_equal(http_conn_start_response(s->conn, 200), 0);
        assert_int_equal(http_conn_begin_body(s->conn, HTTP_FRAMING_CHUNKED, 0), 0);
        side_pump(s);
        peer_close(s);
        assert_true(s->is_closed);
        assert_int_equal(s->error, 0);
}

static void test_half_closed_peer_still_gets_an_answer_made_at_once(void **state)
{
        struct side *s = *state;

        s->at_end = side_respond;
        assert_int_equal(write(s->peer, GET("/"), strlen(GET("/"))), strlen(GET("/")));
        assert_int_equal(shutdown(s->peer, SHUT_WR), 0);
        side_pump(s);
        assert_string_equal(peer_read(s), ANSWER);
        assert_true(s->is_closed);
}

static void test_any_callback_may_free(void **state)
{
        static const char request[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET("/2") "bad\r\n\r\n";

        for (int callback = 0; callback < 4; callback++) {
                void *fresh;

                side_setup_server(&fresh);
                struct side *s = fresh;

                s->at_head = callback == 0 ? side_free : NULL;
                s->at_body = callback == 1 ? side_free : NULL;
                s->at_end = callback == 2 ? side_free : side_respond;
                s->at_error = callback == 3 ? side_free : NULL;
                peer_send(s, request);
                assert_null(s->conn);
                side_teardown(&fresh);
        }
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, side_setup_server, side_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                SERVER_TEST(test_answers_and_keeps_alive),
                SERVER_TEST(test_every_split_of_a_pipeline),
                SERVER_TEST(test_pipelined_requests_wait_for_the_answer),
                SERVER_TEST(test_answer_may_begin_at_the_head_and_end_later),
                SERVER_TEST(test_stream_leaves_piece_by_piece),
                SERVER_TEST(test_head_alone_leaves_without_a_body),
                SERVER_TEST(test_framing_of_answers),
                SERVER_TEST(test_chunks_towards_1_0_end_with_the_connection),
                SERVER_TEST(test_header_rules),
                SERVER_TEST(test_body_longer_than_its_length_is_refused),
                SERVER_TEST(test_body_shorter_than_its_length_ends_the_connection),
                SERVER_TEST(test_continue_is_sent_on_its_own),
                SERVER_TEST(test_continue_waits_for_resume),
                SERVER_TEST(test_final_answer_instead_of_continue_closes),
                SERVER_TEST(test_bad_request_is_answered_and_closed),
                SERVER_TEST(test_owner_may_word_the_refusal),
                SERVER_TEST(test_good_requests_before_a_bad_one_are_answered),
                SERVER_TEST(test_broken_body_after_the_answer_began_breaks_it),
                SERVER_TEST(test_too_large_bodies),
                SERVER_TEST(test_too_large_head),
                SERVER_TEST(test_small_rest_of_an_answered_request_is_swallowed),
                SERVER_TEST(test_large_rest_of_an_answered_request_closes),
                SERVER_TEST(test_connection_close_is_honoured),
                SERVER_TEST(test_set_close),
                SERVER_TEST(test_set_close_while_idle),
                SERVER_TEST(test_abort_sends_no_final_chunk),
                SERVER_TEST(test_peer_close_during_an_answer_is_told),
                SERVER_TEST(test_half_closed_peer_still_gets_an_answer_made_at_once),
                cmocka_unit_test(test_any_callback_may_free),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
