#include "router/table.h"

#include "router/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int setup(void **state)
{
        return table_new((struct table **) state);
}

static int teardown(void **state)
{
        table_free(*state);
        return 0;
}

static void put(struct table *table, const char *id, enum key_kind kind, const char *key)
{
        struct ipc_session session = { .server = "lake", .kind = kind };

        STR_COPY(session.id, id);
        STR_COPY(session.key, key);
        assert_int_equal(table_put_session(table, &session), 0);
}

static void alias(struct table *table, const char *id, enum key_kind kind, const char *key, bool is_removed)
{
        struct ipc_alias pushed = { .kind = kind, .is_removed = is_removed };

        STR_COPY(pushed.id, id);
        STR_COPY(pushed.key, key);
        assert_int_equal(table_put_alias(table, &pushed), 0);
}

static const char *find(struct table *table, enum key_kind kind, const char *key)
{
        struct session *session = table_find(table, "lake", "", kind, key);

        return session ? session->id : "-";
}

static void test_a_key_belongs_to_server_principal_and_kind(void **state)
{
        struct table *table = *state;

        put(table, "1", KEY_NAMED, "k");
        assert_string_equal(find(table, KEY_NAMED, "k"), "1");
        assert_string_equal(find(table, KEY_TRANSPORT, "k"), "-");
        assert_null(table_find(table, "pond", "", KEY_NAMED, "k"));
        assert_null(table_find(table, "lake", "somebody", KEY_NAMED, "k"));
        assert_string_equal(table_find_id(table, "1")->id, "1");
        table_remove(table, "1");
        table_remove(table, "1");
        assert_string_equal(find(table, KEY_NAMED, "k"), "-");
        assert_int_equal(table_count(table), 0);
}

static void test_newest_alias_wins_and_older_ones_return(void **state)
{
        struct table *table = *state;

        put(table, "1", KEY_TRANSPORT, "t1");
        put(table, "2", KEY_TRANSPORT, "t2");
        alias(table, "1", KEY_CLIENT, "same", false);
        alias(table, "2", KEY_CLIENT, "same", false);
        assert_string_equal(find(table, KEY_CLIENT, "same"), "2");
        alias(table, "1", KEY_CLIENT, "same", false);
        assert_string_equal(find(table, KEY_CLIENT, "same"), "1");
        alias(table, "1", KEY_CLIENT, "same", true);
        assert_string_equal(find(table, KEY_CLIENT, "same"), "2");
        alias(table, "1", KEY_CLIENT, "same", false);
        table_remove(table, "1");
        assert_string_equal(find(table, KEY_CLIENT, "same"), "2");
        assert_string_equal(find(table, KEY_TRANSPORT, "t2"), "2");
        table_remove(table, "2");
        assert_string_equal(find(table, KEY_CLIENT, "same"), "-");
}

static void test_own_key_changes_and_is_no_alias(void **state)
{
        struct table *table = *state;

        put(table, "1", KEY_NAMED, "old");
        alias(table, "1", KEY_TRANSPORT, "t", false);
        put(table, "1", KEY_NAMED, "new");
        assert_string_equal(find(table, KEY_NAMED, "old"), "-");
        assert_string_equal(find(table, KEY_NAMED, "new"), "1");
        assert_string_equal(find(table, KEY_TRANSPORT, "t"), "1");
        alias(table, "1", KEY_NAMED, "new", true);
        assert_string_equal(find(table, KEY_NAMED, "new"), "1");
        alias(table, "nobody", KEY_NAMED, "x", false);
        assert_string_equal(find(table, KEY_NAMED, "x"), "-");
}

/* Growing keeps both every key and the order of those that are equal. */
static void test_many_sessions(void **state)
{
        struct table *table = *state;
        char id[16];

        for (unsigned i = 0; i < 5000; i++) {
                (void) snprintf(id, sizeof(id), "%u", i);
                put(table, id, KEY_NAMED, id);
                alias(table, id, KEY_CLIENT, i % 2 ? "odd" : "even", false);
        }
        assert_int_equal(table_count(table), 5000);
        for (unsigned i = 5000; i-- > 2500;) {
                (void) snprintf(id, sizeof(id), "%u", i);
                assert_string_equal(find(table, KEY_NAMED, id), id);
                assert_string_equal(find(table, KEY_CLIENT, i % 2 ? "odd" : "even"), id);
                table_remove(table, id);
        }
        assert_int_equal(table_count(table), 2500);
        assert_string_equal(find(table, KEY_CLIENT, "odd"), "2499");
}

static void test_unending_strings_are_refused(void **state)
{
        struct ipc_session session = { .id = "1", .server = "lake" };
        struct ipc_alias bad = { .id = "1" };

        memset(session.key, 'k', sizeof(session.key));
        assert_int_equal(table_put_session(*state, &session), -EBADMSG);
        STR_COPY(session.key, "k");
        STR_COPY(session.id, "../1"); /* it becomes a path */
        assert_int_equal(table_put_session(*state, &session), -EBADMSG);
        memset(bad.key, 'k', sizeof(bad.key));
        assert_int_equal(table_put_alias(*state, &bad), -EBADMSG);
        assert_int_equal(table_count(*state), 0);
}

/* A published vector would need the 2-4 variant; what matters here: seed and every byte count. */
static void test_hash_depends_on_seed_and_bytes(void **state)
{
        struct hash_seed a = { 1, 2 }, b = { 1, 3 };
        char text[] = "0123456789abcdefg";

        for (size_t n = 0; n < sizeof(text); n++) {
                uint64_t before = hash_bytes(&a, text, n);

                assert_true(before == hash_bytes(&a, text, n));
                assert_true(before != hash_bytes(&b, text, n));
                if (n == 0)
                        continue;
                text[n - 1] ^= 1;
                assert_true(before != hash_bytes(&a, text, n));
                text[n - 1] ^= 1;
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_key_belongs_to_server_principal_and_kind, setup, teardown),
                cmocka_unit_test_setup_teardown(test_newest_alias_wins_and_older_ones_return, setup, teardown),
                cmocka_unit_test_setup_teardown(test_own_key_changes_and_is_no_alias, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many_sessions, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unending_strings_are_refused, setup, teardown),
                cmocka_unit_test(test_hash_depends_on_seed_and_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
