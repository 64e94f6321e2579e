/* Calls, clients and where a backend's message goes. */

#include "worker/placement.h"
#include "worker/stream.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
        struct event_base *base;
        struct calls *calls;
        struct clients *clients;
        struct asked_list *asked;
        unsigned n_deadlines;
};

/* Placement only asks whether there is a stream, and whether it is connected. */
static struct stream streams[8];
#define STREAM(i) (&streams[i])

static void on_deadline(struct call *call, void *userdata)
{
        struct fixture *f = userdata;

        f->n_deadlines++;
        calls_remove(f->calls, call);
}

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        f->base = event_base_new();
        assert_int_equal(calls_new(f->base, on_deadline, f, &f->calls), 0);
        assert_int_equal(clients_new(KEY_NAMED, "key", 4, &f->clients), 0);
        assert_int_equal(asked_new(&f->asked), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        calls_free(f->calls);
        clients_free(f->clients);
        asked_free(f->asked);
        event_base_free(f->base);
        free(f);
        return 0;
}

static struct json_slice slice(const char *text)
{
        return (struct json_slice) { .data = text, .size = strlen(text) };
}

static struct client *attach(struct fixture *f, const char *id)
{
        struct client *client;

        assert_int_equal(client_new(id, "", &client), 0);
        assert_int_equal(clients_attach(f->clients, client), 0);
        return client;
}

static struct call *add(struct fixture *f, struct client *client, const char *id, const char *progress,
                        struct stream *stream)
{
        bool verbatim = clients_count(f->clients) <= 1;
        struct call *call;

        assert_int_equal(calls_add(f->calls, slice(id), slice(progress), verbatim, USEC_INFINITY, &call), 0);
        call->client = client;
        call->stream = stream;
        return call;
}

static struct placement place(struct fixture *f, const char *text)
{
        struct jsonrpc_message message;

        assert_int_equal(jsonrpc_parse(text, strlen(text), &message), 0);
        return placement_of(&message, f->calls, f->clients, f->asked);
}

static void expect_token(const struct token *token, const char *text)
{
        assert_int_equal(token->size, strlen(text));
        assert_memory_equal(token->data, text, token->size);
}

#define LOG "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}"
#define ASK "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"roots/list\"}"
#define NEWS "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}"
#define CANCEL "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":9}}"
#define PROGRESS(token) \
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":" token "}}"
#define RESPONSE(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{}}"

/* ---- names on the wire ---- */

static void test_a_lone_clients_ids_are_the_wires(void **state)
{
        struct fixture *f = *state;
        struct client *client = attach(f, "a");
        struct call *call = add(f, client, "\"\\u0061\"", "7", STREAM(0));

        expect_token(&call->wire_id, "\"\\u0061\"");
        expect_token(&call->wire_progress, "7");
        assert_ptr_equal(calls_by_wire_id(f->calls, slice("\"a\"")), call);
        assert_null(calls_by_wire_id(f->calls, slice("7")));
        assert_ptr_equal(calls_by_wire_progress(f->calls, slice("7")), call);
        assert_null(calls_by_wire_progress(f->calls, slice("\"7\"")));
}

static void test_shared_ids_are_exchanged_keeping_their_type(void **state)
{
        struct fixture *f = *state;
        struct client *a = attach(f, "a"), *b = attach(f, "b");
        struct call *one = add(f, a, "1", "\"t\"", STREAM(0)), *two = add(f, b, "1", "\"t\"", STREAM(1));

        assert_false(token_equal(&one->wire_id, &two->wire_id));
        assert_false(token_equal(&one->wire_progress, &two->wire_progress));
        assert_int_equal(json_slice_type(token_slice(&two->wire_id)), JSON_NUMBER);
        assert_int_equal(json_slice_type(token_slice(&two->wire_progress)), JSON_STRING);
        assert_ptr_equal(calls_by_client_id(f->calls, a, slice("1"), true), one);
        assert_ptr_equal(calls_by_client_id(f->calls, b, slice("1"), true), two);
}

static void test_an_id_that_nobody_waits_for_does_not_clash(void **state)
{
        struct fixture *f = *state;
        struct client *client = attach(f, "a");
        struct call *left = add(f, client, "1", "", NULL), *again = add(f, client, "1", "", STREAM(0));

        expect_token(&left->wire_id, "1");
        assert_false(token_equal(&left->wire_id, &again->wire_id));
        assert_ptr_equal(calls_by_client_id(f->calls, client, slice("1"), true), again);
        again->stream = NULL;
        assert_null(calls_by_client_id(f->calls, client, slice("1"), true));
        assert_ptr_equal(calls_by_client_id(f->calls, client, slice("1"), false), again);
}

static void test_calls_are_bounded(void **state)
{
        struct fixture *f = *state;
        struct call *call;

        for (unsigned i = 0; i < CALLS_MAX; i++)
                add(f, NULL, "1", "", NULL);
        assert_int_equal(calls_add(f->calls, slice("1"), slice(""), true, USEC_INFINITY, &call), -ENOBUFS);
}

static void test_every_deadline_comes_whatever_their_order(void **state)
{
        static const unsigned after[] = { 3000, 1000, 2000, 0 };
        struct fixture *f = *state;
        struct call *call;

        for (size_t i = 0; i < ELEMENTSOF(after); i++)
                assert_int_equal(calls_add(f->calls, slice("1"), slice(""), false, now_usec() + after[i], &call), 0);
        calls_remove(f->calls, calls_next(f->calls, calls_next(f->calls, NULL)));
        event_base_dispatch(f->base);
        assert_int_equal(f->n_deadlines, 3);
        assert_int_equal(calls_count(f->calls), 0);
}

/* ---- placement ---- */

static void test_responses_and_progress_follow_their_call(void **state)
{
        struct fixture *f = *state;
        struct client *client = attach(f, "a");
        struct call *one = add(f, client, "1", "10", STREAM(0)), *two = add(f, client, "\"1\"", "\"10\"", STREAM(1));

        assert_ptr_equal(place(f, RESPONSE("1")).call, one);
        assert_ptr_equal(place(f, RESPONSE("\"1\"")).call, two);
        assert_int_equal(place(f, RESPONSE("2")).where, PLACE_NOWHERE);
        assert_ptr_equal(place(f, PROGRESS("10")).call, one);
        assert_ptr_equal(place(f, PROGRESS("\"10\"")).call, two);
        assert_int_equal(place(f, PROGRESS("11")).where, PLACE_NOWHERE);
        one->stream = NULL;
        assert_int_equal(place(f, PROGRESS("10")).where, PLACE_NOWHERE);
        assert_ptr_equal(place(f, RESPONSE("1")).call, one);
}

static void test_unrelated_messages_go_to_the_newest_call(void **state)
{
        struct fixture *f = *state;
        struct client *client = attach(f, "a");

        client->get_stream = STREAM(7);
        assert_int_equal(place(f, LOG).where, PLACE_CLIENT);
        assert_ptr_equal(place(f, LOG).client, client);
        add(f, client, "1", "", STREAM(0));
        struct call *two = add(f, client, "2", "", STREAM(1));

        add(f, client, "3", "", NULL);
        assert_ptr_equal(place(f, LOG).call, two);
        assert_ptr_equal(place(f, ASK).call, two);
        assert_int_equal(place(f, NEWS).where, PLACE_ALL);
}

static void test_an_initialize_takes_questions_only(void **state)
{
        struct fixture *f = *state;
        struct call *initialize = add(f, NULL, "0", "", STREAM(0));

        initialize->is_initialize = true;
        assert_int_equal(place(f, LOG).where, PLACE_CLIENT);
        assert_null(place(f, LOG).client);
        assert_ptr_equal(place(f, ASK).call, initialize);
}

static void test_without_a_call_a_listener_is_preferred(void **state)
{
        struct fixture *f = *state;
        struct client *a = attach(f, "a"), *b = attach(f, "b");

        assert_ptr_equal(place(f, LOG).client, b);
        a->get_stream = STREAM(0);
        assert_ptr_equal(place(f, LOG).client, a);
        b->get_stream = STREAM(1);
        a->get_stream->carrier = (struct carrier *) (void *) a; /* b is away */
        assert_ptr_equal(place(f, ASK).client, a);
        a->get_stream->carrier = NULL;
}

static void test_a_question_taken_back_follows_the_question(void **state)
{
        struct fixture *f = *state;
        struct client *a = attach(f, "a");
        struct call *asked = add(f, a, "1", "", STREAM(0));

        add(f, a, "2", "", STREAM(1));
        assert_int_equal(place(f, CANCEL).where, PLACE_NOWHERE);
        asked_add(f->asked, slice("9"), asked->serial, a);
        assert_ptr_equal(place(f, CANCEL).call, asked);
        asked->stream = NULL;
        assert_int_equal(place(f, CANCEL).where, PLACE_CLIENT);
        assert_ptr_equal(place(f, CANCEL).client, a);
        asked_remove(f->asked, slice("9"));
        assert_int_equal(place(f, CANCEL).where, PLACE_NOWHERE);
}

static void test_questions_are_bounded_and_end_with_their_client(void **state)
{
        struct fixture *f = *state;
        struct client *a = attach(f, "a");
        const struct client *client;
        uint64_t serial;

        asked_add(f->asked, slice("\"first\""), 0, a);
        for (unsigned i = 0; i < ASKED_MAX; i++) {
                char id[] = { '1', (char) ('0' + i / 100), (char) ('0' + i / 10 % 10), (char) ('0' + i % 10), '\0' };

                asked_add(f->asked, slice(id), 0, a);
        }
        assert_false(asked_find(f->asked, slice("\"first\""), &serial, &client));
        assert_true(asked_find(f->asked, slice("1000"), &serial, &client));
        asked_forget_client(f->asked, a);
        assert_false(asked_find(f->asked, slice("1000"), &serial, &client));
}

/* ---- clients ---- */

static void count_alias(enum key_kind kind, const char *key, void *userdata)
{
        unsigned *counts = userdata;

        counts[kind]++;
}

static void test_aliases_are_what_is_not_the_key(void **state)
{
        struct clients *clients;
        struct client *a, *b;
        unsigned all[KEY__MAX] = { 0 }, leaving[KEY__MAX] = { 0 };

        assert_int_equal(clients_new(KEY_TRANSPORT, "t1", 4, &clients), 0);
        assert_int_equal(client_new("t1", "same", &a), 0);
        assert_int_equal(client_new("t2", "same", &b), 0);
        assert_int_equal(clients_attach(clients, a), 0);
        assert_int_equal(clients_attach(clients, b), 0);
        clients_each_alias(clients, count_alias, all);
        assert_int_equal(all[KEY_TRANSPORT], 1);
        assert_int_equal(all[KEY_CLIENT], 2);
        clients_alias_of(clients, b, true, count_alias, leaving); /* the identity stays: a has it */
        assert_int_equal(leaving[KEY_TRANSPORT], 1);
        assert_int_equal(leaving[KEY_CLIENT], 0);
        assert_ptr_equal(clients_find(clients, "t1"), a);
        assert_ptr_equal(clients_find(clients, "same"), b);
        assert_null(clients_find(clients, ""));
        clients_free(clients);
}

static void test_clients_are_bounded(void **state)
{
        struct fixture *f = *state;
        struct client *client;

        for (unsigned i = 0; i < 4; i++)
                attach(f, "x");
        assert_int_equal(client_new("y", "", &client), 0);
        assert_int_equal(clients_attach(f->clients, client), -ENOSPC);
        client_free(client);
}

static void test_a_backlog_drops_its_oldest(void **state)
{
        struct backlog backlog, other;
        char *text;
        size_t size;

        backlog_init(&backlog);
        backlog_init(&other);
        for (unsigned i = 0; i < BACKLOG_MESSAGES_MAX; i++)
                assert_int_equal(backlog_add(&backlog, i == 0 ? "a" : "b", 1), 0);
        assert_int_equal(backlog_add(&backlog, "c", 1), 1);
        backlog_move(&other, &backlog);
        assert_int_equal(backlog.n, 0);
        assert_int_equal(other.n, BACKLOG_MESSAGES_MAX);
        assert_true(backlog_take(&other, &text, &size));
        assert_memory_equal(text, "b", size);
        free(text);
        char *huge = calloc(1, BACKLOG_BYTES_MAX + 1);

        assert_int_equal(backlog_add(&other, huge, BACKLOG_BYTES_MAX + 1), 1);
        assert_int_equal(other.n, BACKLOG_MESSAGES_MAX - 1);
        free(huge);
        backlog_done(&other);
        backlog_done(&backlog);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_lone_clients_ids_are_the_wires, setup, teardown),
                cmocka_unit_test_setup_teardown(test_shared_ids_are_exchanged_keeping_their_type, setup, teardown),
                cmocka_unit_test_setup_teardown(test_an_id_that_nobody_waits_for_does_not_clash, setup, teardown),
                cmocka_unit_test_setup_teardown(test_calls_are_bounded, setup, teardown),
                cmocka_unit_test_setup_teardown(test_every_deadline_comes_whatever_their_order, setup, teardown),
                cmocka_unit_test_setup_teardown(test_responses_and_progress_follow_their_call, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unrelated_messages_go_to_the_newest_call, setup, teardown),
                cmocka_unit_test_setup_teardown(test_an_initialize_takes_questions_only, setup, teardown),
                cmocka_unit_test_setup_teardown(test_without_a_call_a_listener_is_preferred, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_question_taken_back_follows_the_question, setup, teardown),
                cmocka_unit_test_setup_teardown(test_questions_are_bounded_and_end_with_their_client, setup, teardown),
                cmocka_unit_test(test_aliases_are_what_is_not_the_key),
                cmocka_unit_test_setup_teardown(test_clients_are_bounded, setup, teardown),
                cmocka_unit_test(test_a_backlog_drops_its_oldest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
