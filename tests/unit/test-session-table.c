#include "tests/unit/supervisor-fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct session_table *table(void)
{
        return fixture->supervisor.sessions;
}

/* session_alias_add where nothing is evicted. */
static int alias_add(struct session *session, enum key_kind kind, const char *key)
{
        struct session_alias *evicted;
        int r = session_alias_add(table(), session, kind, key, &evicted);

        assert_null(evicted);
        return r;
}

static void end(struct session *session)
{
        session_table_bury(table(), session);
        session->state = SESSION_STOPPED;
}

static void test_keys_are_apart(void **state)
{
        struct session *a = fixture_session("lake", "alice", KEY_NAMED, "k");
        struct session *b = fixture_session("lake", "bob", KEY_NAMED, "k");
        struct session *c = fixture_session("pond", "alice", KEY_NAMED, "k");
        struct session *d = fixture_session("lake", "alice", KEY_TRANSPORT, "k");

        assert_ptr_equal(session_find_key(table(), "alice", "lake", KEY_NAMED, "k"), a);
        assert_ptr_equal(session_find_key(table(), "bob", "lake", KEY_NAMED, "k"), b);
        assert_ptr_equal(session_find_key(table(), "alice", "pond", KEY_NAMED, "k"), c);
        assert_ptr_equal(session_find_key(table(), "alice", "lake", KEY_TRANSPORT, "k"), d);
        assert_null(session_find_key(table(), "carol", "lake", KEY_NAMED, "k"));
        assert_ptr_equal(session_find_id(table(), b->record.id), b);
        assert_int_equal(session_count(table()), 4);
}

static void test_a_key_is_taken_until_buried(void **state)
{
        struct session *a = fixture_session("lake", "_", KEY_NAMED, "k");
        struct record record = a->record;

        assert_int_equal(session_make_id(record.id), 0);
        struct session *again = session_new(&fixture->supervisor, &record);

        assert_int_equal(session_table_add(table(), again), -EEXIST);
        end(a);
        assert_int_equal(session_table_add(table(), again), 0);
        assert_ptr_equal(session_find_key(table(), "_", "lake", KEY_NAMED, "k"), again);
        assert_ptr_equal(session_find_ended_key(table(), "_", "lake", KEY_NAMED, "k"), a);
}

static void test_newest_alias_wins_and_the_former_comes_back(void **state)
{
        struct session *a = fixture_session("lake", "_", KEY_TRANSPORT, "t1");
        struct session *b = fixture_session("lake", "_", KEY_TRANSPORT, "t2");

        assert_int_equal(alias_add(a, KEY_CLIENT, "same"), 1);
        assert_int_equal(alias_add(b, KEY_CLIENT, "same"), 1);
        assert_ptr_equal(session_find(table(), "_", "lake", KEY_CLIENT, "same"), b);
        assert_int_equal(alias_add(b, KEY_CLIENT, "same"), 0);
        assert_int_equal(b->n_aliases, 1);
        assert_int_equal(alias_add(a, KEY_CLIENT, "same"), 1);
        assert_ptr_equal(session_find(table(), "_", "lake", KEY_CLIENT, "same"), a);
        end(a);
        assert_ptr_equal(session_find(table(), "_", "lake", KEY_CLIENT, "same"), b);
        assert_true(session_alias_remove(table(), b, KEY_CLIENT, "same"));
        assert_false(session_alias_remove(table(), b, KEY_CLIENT, "same"));
        assert_null(session_find(table(), "_", "lake", KEY_CLIENT, "same"));
}

static void test_a_key_beats_an_alias(void **state)
{
        struct session *a = fixture_session("lake", "_", KEY_CLIENT, "hash");
        struct session *b = fixture_session("lake", "_", KEY_NAMED, "k");

        assert_int_equal(alias_add(b, KEY_CLIENT, "hash"), 1);
        assert_ptr_equal(session_find(table(), "_", "lake", KEY_CLIENT, "hash"), a);
}

static void test_which_aliases_a_session_may_have(void **state)
{
        struct session *named = fixture_session("lake", "_", KEY_NAMED, "k");
        struct session *meta = fixture_session("lake", "_", KEY_META, "m");
        struct session *request = fixture_session("lake", "_", KEY_REQUEST, "r");

        for (unsigned kind = 0; kind <= KEY__MAX; kind++) {
                bool is_clients = kind == KEY_TRANSPORT || kind == KEY_CLIENT;

                assert_int_equal(session_may_have_alias(named, kind, "x"), is_clients);
                assert_int_equal(session_may_have_alias(meta, kind, "x"), is_clients);
                assert_int_equal(session_may_have_alias(request, kind, "x"), kind == KEY_HANDLE);
                assert_false(session_may_have_alias(named, kind, ""));
                assert_false(session_may_have_alias(request, kind, ""));
        }
}

static void test_aliases_are_bounded(void **state)
{
        struct session *a = fixture_session("lake", "_", KEY_NAMED, "k");
        struct session_alias *evicted;
        char key[16];

        for (unsigned i = 0; i < SESSION_ALIASES_MAX; i++) {
                (void) snprintf(key, sizeof(key), "t%u", i);
                assert_int_equal(alias_add(a, KEY_TRANSPORT, key), 1);
        }
        assert_int_equal(alias_add(a, KEY_TRANSPORT, "t0"), 0); /* the oldest is the newest now */
        assert_int_equal(session_alias_add(table(), a, KEY_TRANSPORT, "one more", &evicted), 1);
        assert_non_null(evicted);
        assert_string_equal(evicted->key, "t1");
        free(evicted);
        assert_int_equal(a->n_aliases, SESSION_ALIASES_MAX);
        assert_null(session_find(table(), "_", "lake", KEY_TRANSPORT, "t1"));
        assert_ptr_equal(session_find(table(), "_", "lake", KEY_TRANSPORT, "t0"), a);
        assert_ptr_equal(session_find(table(), "_", "lake", KEY_TRANSPORT, "one more"), a);
}

static void test_tombstones(void **state)
{
        struct session *sessions[5];
        char key[16];

        for (unsigned i = 0; i < 5; i++) {
                (void) snprintf(key, sizeof(key), "k%u", i);
                sessions[i] = fixture_session("lake", "_", KEY_NAMED, key);
                assert_int_equal(alias_add(sessions[i], KEY_TRANSPORT, "shared"), 1);
                end(sessions[i]);
        }
        assert_int_equal(session_count(table()), 0);
        assert_int_equal(session_count_ended(table()), 5);
        assert_ptr_equal(session_find_ended_key(table(), "_", "lake", KEY_TRANSPORT, "shared"), sessions[4]);
        assert_ptr_equal(session_find_ended_id(table(), sessions[0]->record.id), sessions[0]);
        session_table_trim(table(), 2);
        assert_int_equal(session_count_ended(table()), 2);
        assert_null(session_find_ended_key(table(), "_", "lake", KEY_NAMED, "k2"));
        assert_ptr_equal(session_next_ended(table(), NULL), sessions[3]);
        assert_ptr_equal(session_next_ended(table(), sessions[3]), sessions[4]);
        assert_null(session_next_ended(table(), sessions[4]));
}

static void test_single_requests_do_not_crowd_out_the_others(void **state)
{
        struct session *named = fixture_session("lake", "_", KEY_NAMED, "k");
        struct session *requests[6];
        char key[16];

        end(named);
        for (unsigned i = 0; i < 6; i++) {
                (void) snprintf(key, sizeof(key), "r%u", i);
                requests[i] = fixture_session("lake", "_", KEY_REQUEST, key);
                end(requests[i]);
                session_table_trim(table(), 4);
        }
        assert_int_equal(session_count_ended(table()), 4);
        assert_ptr_equal(session_next_ended(table(), NULL), named);
        assert_ptr_equal(session_next_ended(table(), named), requests[3]);
        for (unsigned i = 0; i < 3; i++) {
                (void) snprintf(key, sizeof(key), "k%u", i);
                end(fixture_session("lake", "_", KEY_NAMED, key));
                session_table_trim(table(), 4);
        }
        assert_null(session_find_ended_key(table(), "_", "lake", KEY_NAMED, "k"));
        assert_ptr_equal(session_next_ended(table(), NULL), requests[5]);
        session_table_trim(table(), 0);
        assert_int_equal(session_count_ended(table()), 0);
}

static void test_ids_and_tokens(void **state)
{
        char id[IPC_ID_SIZE], other[IPC_ID_SIZE], token[IPC_TOKEN_SIZE];

        assert_int_equal(session_make_id(id), 0);
        assert_int_equal(session_make_id(other), 0);
        assert_int_equal(session_make_token(token), 0);
        assert_int_equal(strlen(id), 16);
        assert_int_equal(strspn(id, "0123456789abcdef"), 16);
        assert_string_not_equal(id, other);
        assert_int_equal(strlen(token), 32);
        assert_true(session_token_equal(token, token));
        assert_false(session_token_equal(token, id));
        assert_false(session_token_equal("", ""));
        token[31] ^= 1;
        assert_false(session_token_equal(token, "0123456789abcdef0123456789abcdef"));
}

static void test_failure_tells_what_is_known(void **state)
{
        struct session *s = fixture_session("lake", "_", KEY_NAMED, "k");
        _cleanup_free_ char *json = NULL, *given = NULL;
        size_t size;

        s->last_exit = (struct session_exit) { .is_known = true, .code = CLD_KILLED, .status = SIGKILL };
        s->last_lines = strdup("one\ntwo\n");
        session_set_end(s, true, REASON_backend_exited, NULL, 0);
        session_set_end(s, false, REASON_session_ended, NULL, 0); /* the first one stays */
        assert_int_equal(session_failure_json(s, &json, &size), 0);
        assert_string_equal(json, "{\"reason\":\"backend_exited\",\"infra\":true,\"signal\":\"SIGKILL\","
                                  "\"stderr\":[\"one\",\"two\"]}");
        assert_true(s->is_failed);
        s->end_failure = strdup("{\"reason\":\"given\"}");
        assert_int_equal(session_failure_json(s, &given, &size), 0);
        assert_string_equal(given, "{\"reason\":\"given\"}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_keys_are_apart, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_key_is_taken_until_buried, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_newest_alias_wins_and_the_former_comes_back, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_key_beats_an_alias, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_which_aliases_a_session_may_have, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_aliases_are_bounded, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_tombstones, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_single_requests_do_not_crowd_out_the_others, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test(test_ids_and_tokens),
                cmocka_unit_test_setup_teardown(test_failure_tells_what_is_known, fixture_setup, fixture_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
