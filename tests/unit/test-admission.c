#include "supervisor/admission.h"

#include "tests/unit/supervisor-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int setup(void **state)
{
        int r = fixture_setup(state);

        assert_int_equal(admission_new(&fixture->supervisor, &fixture->supervisor.admission), 0);
        return r;
}

static int teardown(void **state)
{
        session_table_free(fixture->supervisor.sessions);
        fixture->supervisor.sessions = NULL;
        admission_free(fixture->supervisor.admission);
        return fixture_teardown(state);
}

static struct session *enter(const char *server)
{
        static unsigned n;
        char key[16];

        (void) snprintf(key, sizeof(key), "k%u", n++);
        struct session *s = fixture_session(server, "_", KEY_NAMED, key);

        admission_enter(fixture->supervisor.admission, s);
        return s;
}

/* The definition of server has had a ready session: starts need not be alone any more. */
static struct session *prove(const char *server)
{
        struct session *s = enter(server);

        assert_int_equal(s->state, SESSION_STARTING);
        session_dispatch(s, EVENT_READY);
        fixture_turn();
        return s;
}

static void finish(struct session *s)
{
        session_dispatch(s, EVENT_KILL);
        if (s->state == SESSION_KILLING)
                session_dispatch(s, EVENT_EMPTY);
        session_table_bury(fixture->supervisor.sessions, s);
        fixture_turn();
}

static void test_first_start_runs_alone(void **state)
{
        struct session *first = enter("lake"), *second = enter("lake"), *third = enter("lake");

        assert_int_equal(first->state, SESSION_STARTING);
        assert_int_equal(second->state, SESSION_QUEUED);
        assert_int_equal(third->state, SESSION_QUEUED);
        assert_int_equal(enter("pond")->state, SESSION_STARTING); /* another definition */
        session_dispatch(first, EVENT_READY);
        fixture_turn();
        assert_int_equal(second->state, SESSION_STARTING);
        assert_int_equal(third->state, SESSION_STARTING);
        assert_int_equal(admission_queued(fixture->supervisor.admission), 0);
}

static void test_a_failed_first_hands_on(void **state)
{
        struct session *first = enter("lake"), *second = enter("lake"), *third = enter("lake");

        session_dispatch(first, EVENT_WORKER_LOST);
        fixture_turn();
        assert_int_equal(second->state, SESSION_STARTING);
        assert_int_equal(third->state, SESSION_QUEUED);
}

static void test_starts_are_bounded(void **state)
{
        prove("lake");
        fixture->config.starting_max = 2;
        struct session *a = enter("lake"), *b = enter("lake"), *c = enter("lake");

        assert_int_equal(b->state, SESSION_STARTING);
        assert_int_equal(c->state, SESSION_QUEUED);
        assert_int_equal(admission_starting(fixture->supervisor.admission), 2);
        session_dispatch(a, EVENT_READY);
        fixture_turn();
        assert_int_equal(c->state, SESSION_STARTING);
}

static void test_room_is_held_until_nothing_is_left(void **state)
{
        fixture->config.sessions_max = 2;
        struct session *a = prove("lake"), *b = enter("lake"), *c = enter("lake");

        session_dispatch(b, EVENT_READY);
        assert_int_equal(c->state, SESSION_QUEUED);
        session_dispatch(a, EVENT_STOP);
        fixture_turn();
        session_dispatch(a, EVENT_WORKER_LOST);
        fixture_turn();
        assert_int_equal(c->state, SESSION_QUEUED); /* processes may still be there */
        session_dispatch(a, EVENT_EMPTY);
        fixture_turn();
        assert_int_equal(c->state, SESSION_STARTING);
        assert_int_equal(admission_rooms(fixture->supervisor.admission), 2);
}

static void test_a_full_server_holds_up_nobody_else(void **state)
{
        fixture->lake.sessions_max = 1;
        struct session *lake = prove("lake"), *waiting = enter("lake"), *pond = enter("pond");

        assert_int_equal(waiting->state, SESSION_QUEUED);
        assert_int_equal(pond->state, SESSION_STARTING);
        finish(lake);
        assert_int_equal(waiting->state, SESSION_STARTING);
}

static void test_the_queue_is_bounded(void **state)
{
        struct admission *a = fixture->supervisor.admission;

        fixture->config.queue_max = 2;
        fixture->config.sessions_max = 1;
        assert_true(admission_has_place(a, &fixture->lake));
        prove("lake");
        enter("lake");
        assert_true(admission_has_place(a, &fixture->lake));
        struct session *last = enter("lake");

        assert_false(admission_has_place(a, &fixture->lake));
        finish(last);
        assert_true(admission_has_place(a, &fixture->lake));
}

static void test_no_queue_at_all(void **state)
{
        fixture->config.queue_max = 0;
        fixture->config.sessions_max = 1;
        assert_true(admission_has_place(fixture->supervisor.admission, &fixture->lake));
        enter("lake");
        assert_false(admission_has_place(fixture->supervisor.admission, &fixture->lake));
}

static void test_first_come_first_served(void **state)
{
        fixture->config.sessions_max = 1;
        struct session *running = prove("lake"), *second = enter("lake"), *third = enter("lake");

        finish(running);
        assert_int_equal(second->state, SESSION_STARTING);
        assert_int_equal(third->state, SESSION_QUEUED);
        finish(second);
        assert_int_equal(third->state, SESSION_STARTING);
}

static char *prepare_argv[] = { (char *) "npm", (char *) "ci", NULL };

static void test_prepare_runs_once_and_first(void **state)
{
        fixture->lake.prepare = prepare_argv;
        struct session *first = enter("lake"), *second = enter("lake");

        assert_int_equal(first->state, SESSION_PREPARING);
        assert_int_equal(second->state, SESSION_QUEUED);
        assert_int_equal(enter("pond")->state, SESSION_STARTING);
        fixture_prepared(NULL);
        fixture_turn();
        assert_int_equal(first->state, SESSION_STARTING);
        assert_int_equal(second->state, SESSION_QUEUED); /* alone still */
        session_dispatch(first, EVENT_READY);
        fixture_turn();
        assert_int_equal(second->state, SESSION_STARTING);
        assert_int_equal(fixture->n_prepared, 1);
}

static void test_a_failed_prepare_fails_who_waits(void **state)
{
        fixture->lake.prepare = prepare_argv;
        struct session *first = enter("lake"), *second = enter("lake");

        fixture_prepared("{\"reason\":\"start_failed\",\"infra\":true}");
        fixture_turn();
        assert_int_equal(first->state, SESSION_FAILED);
        assert_int_equal(second->state, SESSION_FAILED);
        assert_string_equal(second->end_failure, "{\"reason\":\"start_failed\",\"infra\":true}");
        assert_int_equal(enter("lake")->state, SESSION_PREPARING); /* the next request tries again */
        assert_int_equal(fixture->n_prepared, 2);
        fixture_prepared(NULL);
}

static void test_prepare_goes_on_without_who_asked(void **state)
{
        fixture->lake.prepare = prepare_argv;
        struct session *first = enter("lake"), *second = enter("lake");

        session_dispatch(first, EVENT_STOP);
        fixture_turn();
        assert_int_equal(first->state, SESSION_STOPPED);
        assert_int_equal(second->state, SESSION_QUEUED);
        fixture_prepared(NULL);
        fixture_turn();
        assert_int_equal(second->state, SESSION_STARTING);
}

static void test_a_marked_definition_is_prepared(void **state)
{
        fixture->lake.prepare = prepare_argv;
        fixture->is_marked = true;
        assert_int_equal(enter("lake")->state, SESSION_STARTING);
        assert_int_equal(fixture->n_prepared, 0);
}

static void test_a_removed_server_fails_who_waits(void **state)
{
        struct session *first = enter("lake"), *second = enter("lake");

        fixture->config.n_servers = 0;
        admission_reconsider(fixture->supervisor.admission);
        fixture_turn();
        assert_int_equal(first->state, SESSION_STARTING);
        assert_int_equal(second->state, SESSION_FAILED);
        assert_int_equal(second->end_reason, REASON_unknown_path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_first_start_runs_alone, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_failed_first_hands_on, setup, teardown),
                cmocka_unit_test_setup_teardown(test_starts_are_bounded, setup, teardown),
                cmocka_unit_test_setup_teardown(test_room_is_held_until_nothing_is_left, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_full_server_holds_up_nobody_else, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_queue_is_bounded, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_queue_at_all, setup, teardown),
                cmocka_unit_test_setup_teardown(test_first_come_first_served, setup, teardown),
                cmocka_unit_test_setup_teardown(test_prepare_runs_once_and_first, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_failed_prepare_fails_who_waits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_prepare_goes_on_without_who_asked, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_marked_definition_is_prepared, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_removed_server_fails_who_waits, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
