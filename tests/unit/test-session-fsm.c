#include "tests/unit/supervisor-fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static bool is_final(enum session_state state)
{
        return state == SESSION_STOPPED || state == SESSION_FAILED;
}

/* A hole in the table would lead to QUEUED, where nothing ever goes back to. */
static void test_every_cell_is_written(void **state)
{
        for (enum session_state s = 0; s < SESSION_STATE__MAX; s++)
                for (enum session_event e = 0; e < SESSION_EVENT__MAX; e++) {
                        const struct session_transition *cell = session_fsm_find(s, e);

                        assert_non_null(cell);
                        if (cell->is_ignored)
                                continue;
                        assert_true(cell->to > SESSION_QUEUED && cell->to <= SESSION_FINAL);
                        assert_true(cell->to != SESSION_STOPPED && cell->to != SESSION_FAILED);
                        assert_true(cell->action < SESSION_ACTION__MAX);
                        assert_false(is_final(s));
                }
}

static void test_every_name_is_written(void **state)
{
        for (enum session_state s = 0; s < SESSION_STATE__MAX; s++) {
                assert_non_null(session_state_to_string(s));
                assert_non_null(session_state_to_active(s));
        }
        for (enum session_event e = 0; e < SESSION_EVENT__MAX; e++)
                assert_non_null(session_event_to_string(e));
}

/* What must happen on the way into a state happens whichever way leads there. */
static void test_actions_belong_to_states(void **state)
{
        for (enum session_state s = 0; s < SESSION_STATE__MAX; s++)
                for (enum session_event e = 0; e < SESSION_EVENT__MAX; e++) {
                        const struct session_transition *cell = session_fsm_find(s, e);

                        if (cell->is_ignored)
                                continue;
                        assert_int_equal(cell->to == SESSION_FINAL, cell->action == ACTION_BURY);
                        assert_int_equal(cell->to == SESSION_KILLING,
                                         cell->action == ACTION_KILL || cell->action == ACTION_KILL_AGAIN);
                        if (cell->action == ACTION_LAUNCH)
                                assert_int_equal(cell->to, SESSION_STARTING);
                }
}

static void test_every_state_has_its_end(void **state)
{
        struct session *session = fixture_session("lake", "_", KEY_NAMED, "k");

        for (enum session_state s = 0; s < SESSION_STATE__MAX; s++) {
                bool lasts = s == SESSION_READY || s == SESSION_IDLE || is_final(s);

                assert_int_equal(session_state_deadline_usec(session, s) == USEC_INFINITY, lasts);
                assert_int_equal(session_fsm_find(s, EVENT_DEADLINE)->is_ignored, lasts);
        }
}

/* From anywhere, a kill and the emptiness that follows lead to the end; so do deadlines alone. */
static void test_nothing_lasts_for_ever(void **state)
{
        static const enum session_event ways[] = { EVENT_KILL, EVENT_STOP, EVENT_DEADLINE };

        for (size_t w = 0; w < ELEMENTSOF(ways); w++)
                for (enum session_state s = 0; s < SESSION_STATE__MAX; s++) {
                        enum session_state at = s;

                        if (is_final(s) || session_fsm_find(s, ways[w])->is_ignored)
                                continue;
                        at = session_fsm_find(at, ways[w])->to;
                        for (unsigned i = 0; at != SESSION_KILLING && at != SESSION_FINAL; i++) {
                                assert_true(i < 4);
                                at = session_fsm_find(at, EVENT_DEADLINE)->to;
                        }
                        if (at == SESSION_KILLING)
                                at = session_fsm_find(at, EVENT_EMPTY)->to;
                        assert_int_equal(at, SESSION_FINAL);
                }
}

static void test_a_whole_life(void **state)
{
        static const struct {
                enum session_event event;
                enum session_state state;
        } steps[] = {
                { EVENT_PREPARE, SESSION_PREPARING }, { EVENT_LAUNCH, SESSION_STARTING },
                { EVENT_HELLO, SESSION_STARTING },    { EVENT_READY, SESSION_READY },
                { EVENT_QUIET, SESSION_IDLE },        { EVENT_BUSY, SESSION_READY },
                { EVENT_READY, SESSION_READY },       { EVENT_QUIET, SESSION_IDLE },
                { EVENT_GONE, SESSION_DRAINING },     { EVENT_BUSY, SESSION_DRAINING },
                { EVENT_WORKER_LOST, SESSION_KILLING }, { EVENT_EMPTY, SESSION_STOPPED },
                { EVENT_READY, SESSION_STOPPED },     { EVENT_KILL, SESSION_STOPPED },
        };
        struct session *session = fixture_session("lake", "_", KEY_NAMED, "k");

        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                if (steps[i].event == EVENT_GONE)
                        session_set_end(session, false, REASON_session_ended, NULL, 0);
                session_dispatch(session, steps[i].event);
                assert_int_equal(session->state, steps[i].state);
        }
        assert_int_equal(fixture->n_actions, 3);
        assert_int_equal(fixture->actions[0], ACTION_LAUNCH);
        assert_int_equal(fixture->actions[1], ACTION_KILL);
        assert_int_equal(fixture->actions[2], ACTION_BURY);
        assert_int_equal(fixture->n_moves, 9);
        assert_int_equal(fixture->last_old, SESSION_KILLING);
        assert_false(session->is_failed);
}

static void test_a_lost_worker_is_a_failure(void **state)
{
        struct session *session = fixture_session("lake", "_", KEY_NAMED, "k");

        session_dispatch(session, EVENT_LAUNCH);
        session_dispatch(session, EVENT_READY);
        session_dispatch(session, EVENT_WORKER_LOST);
        session_dispatch(session, EVENT_EMPTY);
        assert_int_equal(session->state, SESSION_FAILED);
        assert_int_equal(session->end_reason, REASON_worker_lost);
        assert_string_equal(session_state_to_active(session->state), "failed");
}

/* What can be revived rests, whatever its processes died of once it was to end; but only once. */
static void test_what_can_be_revived_rests(void **state)
{
        struct session *session = fixture_session("lake", "_", KEY_NAMED, "k");

        session_dispatch(session, EVENT_LAUNCH);
        session_dispatch(session, EVENT_READY);
        session->record.revive = strdup("{}");
        session_dispatch(session, EVENT_GONE);
        session_dispatch(session, EVENT_WORKER_LOST);
        session_dispatch(session, EVENT_EMPTY);
        assert_int_equal(session->state, SESSION_DORMANT);
        assert_string_equal(session_state_to_active(session->state), "inactive");
        session_dispatch(session, EVENT_EMPTY);
        session_dispatch(session, EVENT_READY);
        assert_int_equal(session->state, SESSION_DORMANT);
        session_dispatch(session, EVENT_STOP);
        assert_true(is_final(session->state));
}

/* STOP reaches a worker that says HELLO only afterwards. */
static void test_stop_before_hello(void **state)
{
        struct session *session = fixture_session("lake", "_", KEY_NAMED, "k");

        session_dispatch(session, EVENT_LAUNCH);
        session_dispatch(session, EVENT_STOP);
        session_dispatch(session, EVENT_HELLO);
        assert_int_equal(session->state, SESSION_DRAINING);
        assert_int_equal(fixture->n_actions, 3);
        assert_int_equal(fixture->actions[2], ACTION_SEND_STOP);
}

static void test_deadline_comes_from_the_loop(void **state)
{
        struct session *session = fixture_session("lake", "_", KEY_NAMED, "k");

        fixture->config.queue_usec = 5 * USEC_PER_MSEC;
        session_set_state(session, SESSION_QUEUED);
        event_base_loop(fixture->supervisor.base, EVLOOP_ONCE);
        assert_int_equal(session->state, SESSION_FAILED);
        assert_int_equal(session->end_reason, REASON_capacity);
        assert_int_equal(fixture->actions[0], ACTION_BURY);
}

static void test_leaving_a_state_drops_its_deadline(void **state)
{
        struct session *session = fixture_session("lake", "_", KEY_NAMED, "k");

        session_set_state(session, SESSION_STARTING);
        assert_true(event_pending(session->deadline, EV_TIMEOUT, NULL));
        session_dispatch(session, EVENT_READY);
        assert_false(event_pending(session->deadline, EV_TIMEOUT, NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_every_cell_is_written, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_every_name_is_written, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_actions_belong_to_states, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_every_state_has_its_end, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_nothing_lasts_for_ever, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_whole_life, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_lost_worker_is_a_failure, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_what_can_be_revived_rests, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_stop_before_hello, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_deadline_comes_from_the_loop, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_leaving_a_state_drops_its_deadline, fixture_setup, fixture_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
