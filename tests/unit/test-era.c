#include "supervisor/era.h"

#include "common/fd.h"
#include "tests/unit/supervisor-fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

static char runtime[64];

static void begin(void)
{
        fixture->supervisor.eras = eras_free(fixture->supervisor.eras);
        fixture->supervisor.options.runtime = runtime;
        assert_int_equal(eras_new(&fixture->supervisor, &fixture->supervisor.eras), 0);
}

static int setup(void **state)
{
        char folder[sizeof(runtime) + 16];
        int r = fixture_setup(state);

        (void) snprintf(runtime, sizeof(runtime), "/tmp/test-era-XXXXXX");
        assert_non_null(mkdtemp(runtime));
        (void) snprintf(folder, sizeof(folder), "%s/definitions", runtime);
        assert_int_equal(mkdir(folder, 0700), 0);
        begin();
        return r;
}

static int teardown(void **state)
{
        assert_int_equal(fd_remove_tree_at(AT_FDCWD, runtime), 0);
        return fixture_teardown(state);
}

static enum backend_era lake_era(void)
{
        return era_of(fixture->supervisor.eras, &fixture->lake);
}

static enum backend_era lake_presumed(void)
{
        return era_presumed(fixture->supervisor.eras, &fixture->lake);
}

static struct session *probe(void)
{
        struct session *s;

        assert_int_equal(era_probe(fixture->supervisor.eras, &fixture->lake, &s), 0);
        return s;
}

/* The worker of s says what it found. */
static int tell(struct session *s, enum backend_era era, bool is_presumed)
{
        const struct ipc_era body = { .era = era, .is_presumed = is_presumed };
        const struct ipc_message message = { .type = IPC_ERA, .body = &body };
        struct peer peer = { .supervisor = &fixture->supervisor, .session = s };

        return eras_on_era(&peer, &message);
}

static void finish(struct session *s)
{
        session_set_state(s, SESSION_STOPPED);
        session_table_bury(fixture->supervisor.sessions, s);
}

/* A session of the lake that a client's request has made answers it. */
static void answer_once(void)
{
        struct session *s = fixture_session("lake", "_", KEY_NAMED, "k");

        s->record.definition_hash = strdup("1a");
        s->awaits_request = true;
        session_set_state(s, SESSION_STARTING);
        session_set_state(s, SESSION_READY);
}

static void test_one_probe_at_a_time(void **state)
{
        struct session *s = probe();

        assert_int_equal(s->record.kind, KEY_PROBE);
        assert_ptr_equal(probe(), s);
        finish(s);
        assert_ptr_not_equal(probe(), s);
        assert_int_equal(fixture->n_created, 2);
}

static void test_what_was_found_outlives_the_supervisor(void **state)
{
        assert_int_equal(lake_era(), ERA_UNKNOWN);
        assert_int_equal(tell(probe(), ERA_MODERN, false), 0);
        assert_int_equal(lake_era(), ERA_MODERN);
        assert_int_equal(fixture->n_eras_pushed, 1);
        assert_int_equal(era_of(fixture->supervisor.eras, &fixture->pond), ERA_UNKNOWN);

        begin();
        assert_int_equal(lake_era(), ERA_MODERN);
        eras_forget(fixture->supervisor.eras);
        assert_int_equal(lake_era(), ERA_UNKNOWN);
        begin();
        assert_int_equal(lake_era(), ERA_UNKNOWN);
}

static void test_an_exit_is_presumed_only(void **state)
{
        assert_int_equal(tell(probe(), ERA_LEGACY, true), 0);
        assert_int_equal(lake_presumed(), ERA_LEGACY);
        assert_int_equal(lake_era(), ERA_UNKNOWN);
        assert_int_equal(fixture->n_eras_pushed, 0);
        /* It works after all: worth another look, and that counts. */
        answer_once();
        assert_int_equal(lake_presumed(), ERA_UNKNOWN);
        assert_int_equal(tell(probe(), ERA_LEGACY, true), 0);
        assert_int_equal(lake_era(), ERA_LEGACY);
}

static void test_only_probes_may_tell(void **state)
{
        struct session *s = fixture_session("lake", "_", KEY_NAMED, "k");

        assert_int_equal(tell(s, ERA_MODERN, false), -EBADMSG);
        assert_int_equal(tell(probe(), ERA_UNKNOWN, false), -EBADMSG);
        assert_int_equal(tell(probe(), (enum backend_era) 9, false), -EBADMSG);
}

static void test_what_is_configured_counts(void **state)
{
        fixture->lake.era = ERA_LEGACY;
        assert_int_equal(lake_era(), ERA_LEGACY);
        fixture->lake.era = ERA_UNKNOWN;
        fixture->lake.transport = TRANSPORT_HTTP;
        assert_int_equal(lake_era(), ERA_UNKNOWN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_one_probe_at_a_time, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_was_found_outlives_the_supervisor, setup, teardown),
                cmocka_unit_test_setup_teardown(test_an_exit_is_presumed_only, setup, teardown),
                cmocka_unit_test_setup_teardown(test_only_probes_may_tell, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_is_configured_counts, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
