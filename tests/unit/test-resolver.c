#include "router/resolver.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct sent {
        uint32_t cookie;
        struct ipc_resolve resolve;
        size_t blob_size;
};

struct fixture {
        struct event_base *base;
        struct asks asks;
        struct sent sent[16];
        unsigned n_sent;
        bool is_away;
};

struct waiter {
        struct asker asker;
        unsigned n_answers;
        bool got_one, is_first;
        struct asks *ask_again; /* from the callback */
};

static int on_send(enum ipc_type type, uint32_t cookie, const void *body, size_t body_size, const void *blob,
                   size_t blob_size, void *userdata)
{
        struct fixture *f = userdata;

        if (f->is_away)
                return -ENOTCONN;
        assert_int_equal(type, IPC_RESOLVE);
        f->sent[f->n_sent++] = (struct sent) { .cookie = cookie, .resolve = *(const struct ipc_resolve *) body,
                                               .blob_size = blob_size };
        return 0;
}

static const struct ask_ops ops = { .send = on_send };

static const struct resolve_request request = {
        .server = "lake", .principal = "", .key = "k", .kind = KEY_NAMED, .may_create = true,
};

static void on_answer(struct asker *asker, const struct ipc_message *answer, bool is_first)
{
        struct waiter *w = (struct waiter *) asker;

        w->n_answers++;
        w->got_one = answer != NULL;
        w->is_first = is_first;
        if (w->ask_again)
                assert_int_equal(resolver_ask(w->ask_again, asker, &request), 0);
        w->ask_again = NULL;
}

static struct waiter waiter(void)
{
        return (struct waiter) { .asker.on_answer = on_answer };
}

static void answer(struct fixture *f, uint32_t cookie)
{
        struct ipc_resolved body = { .code = RESOLVE_OK, .session.id = "1" };
        struct ipc_message message = { .type = IPC_RESOLVED, .cookie = cookie, .body = &body };

        asks_answer(&f->asks, &message);
}

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        f->base = event_base_new();
        *state = f;
        return asks_init(&f->asks, f->base, &ops, f);
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        asks_done(&f->asks);
        event_base_free(f->base);
        free(f);
        return 0;
}

static void test_equal_requests_share_one_question(void **state)
{
        struct fixture *f = *state;
        struct waiter w[3] = { waiter(), waiter(), waiter() };
        struct resolve_request other = request;

        other.has_seed = true;
        assert_int_equal(resolver_ask(&f->asks, &w[0].asker, &request), 0);
        assert_int_equal(resolver_ask(&f->asks, &w[1].asker, &request), 0);
        assert_int_equal(resolver_ask(&f->asks, &w[2].asker, &other), 0);
        assert_int_equal(f->n_sent, 2);
        assert_string_equal(f->sent[0].resolve.key, "k");
        answer(f, f->sent[0].cookie);
        assert_true(w[0].got_one && w[0].is_first);
        assert_true(w[1].got_one && !w[1].is_first);
        assert_int_equal(w[2].n_answers, 0);
        answer(f, f->sent[0].cookie); /* said twice: nobody waits any more */
        assert_int_equal(w[0].n_answers, 1);
        ask_cancel(&f->asks, &w[2].asker);
        answer(f, f->sent[1].cookie);
        assert_int_equal(w[2].n_answers, 0);
}

/* Who asks again from the callback gets another answer, not the same one once more. */
static void test_asking_again_while_being_answered(void **state)
{
        struct fixture *f = *state;
        struct waiter w[2] = { waiter(), waiter() };

        w[0].ask_again = &f->asks;
        assert_int_equal(resolver_ask(&f->asks, &w[0].asker, &request), 0);
        assert_int_equal(resolver_ask(&f->asks, &w[1].asker, &request), 0);
        answer(f, f->sent[0].cookie);
        assert_int_equal(w[0].n_answers, 1);
        assert_int_equal(w[1].n_answers, 1);
        assert_int_equal(f->n_sent, 2);
        answer(f, f->sent[1].cookie);
        assert_int_equal(w[0].n_answers, 2);
}

static void test_one_of_two_leaves(void **state)
{
        struct fixture *f = *state;
        struct waiter w[2] = { waiter(), waiter() };

        assert_int_equal(resolver_ask(&f->asks, &w[0].asker, &request), 0);
        assert_int_equal(resolver_ask(&f->asks, &w[1].asker, &request), 0);
        ask_cancel(&f->asks, &w[0].asker);
        ask_cancel(&f->asks, &w[0].asker);
        answer(f, f->sent[0].cookie);
        assert_int_equal(w[0].n_answers, 0);
        assert_true(w[1].got_one && w[1].is_first);
}

static void test_questions_survive_the_supervisor(void **state)
{
        struct fixture *f = *state;
        struct waiter w[2] = { waiter(), waiter() };
        struct resolve_request other = request;

        other.key = "other";
        assert_int_equal(resolver_ask(&f->asks, &w[0].asker, &request), 0);
        f->is_away = true;
        asks_disconnected(&f->asks);
        assert_int_equal(resolver_ask(&f->asks, &w[1].asker, &other), 0);
        assert_int_equal(f->n_sent, 1);
        f->is_away = false;
        asks_resend(&f->asks);
        assert_int_equal(f->n_sent, 3);
        asks_resend(&f->asks);
        assert_int_equal(f->n_sent, 3);
        answer(f, f->sent[0].cookie);
        assert_true(w[0].got_one);
        ask_cancel(&f->asks, &w[1].asker);
}

static void test_what_may_not_be_sent_twice_fails_with_the_connection(void **state)
{
        struct fixture *f = *state;
        struct waiter sent = waiter(), unsent = waiter();
        struct ipc_resolve body = {};

        assert_int_equal(ask(&f->asks, &sent.asker, IPC_RESOLVE, &body, sizeof(body), NULL, 0, ASK_ONCE), 0);
        f->is_away = true;
        assert_int_equal(ask(&f->asks, &unsent.asker, IPC_RESOLVE, &body, sizeof(body), NULL, 0, ASK_ONCE), 0);
        asks_disconnected(&f->asks);
        assert_true(sent.n_answers == 1 && !sent.got_one);
        assert_int_equal(unsent.n_answers, 0);
        ask_cancel(&f->asks, &unsent.asker);
}

static void test_deadline_answers_with_nothing(void **state)
{
        struct fixture *f = *state;
        struct waiter late = waiter(), later = waiter();
        struct resolve_request other = request;

        other.key = "other";
        asks_set_timeout(&f->asks, USEC_PER_HOUR);
        assert_int_equal(resolver_ask(&f->asks, &later.asker, &other), 0);
        asks_set_timeout(&f->asks, USEC_PER_MSEC);
        assert_int_equal(resolver_ask(&f->asks, &late.asker, &request), 0);
        while (late.n_answers == 0)
                event_base_loop(f->base, EVLOOP_ONCE);
        assert_false(late.got_one);
        assert_int_equal(later.n_answers, 0);
        answer(f, f->sent[1].cookie);
        assert_int_equal(late.n_answers, 1);
        ask_cancel(&f->asks, &later.asker);
}

static void test_reading_answers(void **state)
{
        static const char capacity[] = "{\"reason\":\"capacity\",\"infra\":true,\"retry_after\":7}";
        struct ipc_resolved body = { .code = RESOLVE_OK, .is_created = 1, .session.id = "abc" };
        struct ipc_message message = { .type = IPC_RESOLVED, .body = &body };
        struct resolve_answer read;

        resolver_read(&message, true, &read);
        assert_int_equal(read.code, RESOLVE_OK);
        assert_true(read.is_created);
        assert_string_equal(read.session_id, "abc");
        resolver_read(&message, false, &read); /* only one of those that share it started the session */
        assert_false(read.is_created);
        STR_COPY(body.session.id, "../abc");
        resolver_read(&message, true, &read);
        assert_int_equal(read.code, RESOLVE_FAILED);
        body.code = RESOLVE_FAILED;
        message.blob = capacity;
        message.blob_size = strlen(capacity);
        resolver_read(&message, true, &read);
        assert_int_equal(failure_get(read.failure)->reason, REASON_capacity);
        assert_int_equal(failure_get(read.failure)->retry_after_sec, 7);
        failure_owned_free(read.failure);
        resolver_read(NULL, true, &read);
        assert_int_equal(read.code, RESOLVE_FAILED);
        assert_null(read.failure);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_equal_requests_share_one_question, setup, teardown),
                cmocka_unit_test_setup_teardown(test_asking_again_while_being_answered, setup, teardown),
                cmocka_unit_test_setup_teardown(test_one_of_two_leaves, setup, teardown),
                cmocka_unit_test_setup_teardown(test_questions_survive_the_supervisor, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_may_not_be_sent_twice_fails_with_the_connection, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_deadline_answers_with_nothing, setup, teardown),
                cmocka_unit_test(test_reading_answers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
