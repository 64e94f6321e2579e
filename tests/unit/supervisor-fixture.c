#include "tests/unit/supervisor-fixture.h"

#include "supervisor/era.h"
#include "supervisor/prepare.h"
#include "supervisor/routers.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture *fixture;

/* ---- stand-ins -------------------------------------------------------------------------------- */

struct prepare {
        prepare_done_fn on_done;
        void *userdata;
};

void lifecycle_run(struct session *session, enum session_action action)
{
        assert_true(fixture->n_actions < ACTIONS_MAX);
        fixture->acted_on[fixture->n_actions] = session;
        fixture->actions[fixture->n_actions++] = action;
}

void lifecycle_check_empty(struct session *session)
{
        session_dispatch(session, EVENT_EMPTY);
}

int lifecycle_create(struct supervisor *supervisor, const struct server_config *server,
                     const struct session_request *request, struct session **ret)
{
        *ret = fixture_session(server->name, request->principal, request->kind, request->key);
        (*ret)->record.definition_hash = strdup(server->definition_hash);
        (*ret)->awaits_request = request->awaits_request;
        fixture->n_created++;
        return 0;
}

void routers_push_era(struct routers *routers, const char *definition_hash)
{
        fixture->n_eras_pushed++;
}

void supervisor_observe(struct supervisor *supervisor, struct session_observer *observer)
{
        TAILQ_INSERT_TAIL(&supervisor->observers, observer, entry);
}

void supervisor_unobserve(struct supervisor *supervisor, struct session_observer *observer)
{
        TAILQ_REMOVE(&supervisor->observers, observer, entry);
}

bool prepare_is_marked(const struct supervisor *supervisor, const char *hash)
{
        return fixture->is_marked;
}

int prepare_new(struct supervisor *supervisor, const struct server_config *server, prepare_done_fn on_done,
                void *userdata, struct prepare **ret)
{
        assert_null(fixture->preparing);
        *ret = fixture->preparing = calloc(1, sizeof(struct prepare));
        (*ret)->on_done = on_done;
        (*ret)->userdata = userdata;
        fixture->n_prepared++;
        return 0;
}

struct prepare *prepare_free(struct prepare *prepare)
{
        if (prepare == fixture->preparing)
                fixture->preparing = NULL;
        free(prepare);
        return NULL;
}

void prepare_kill(struct prepare *prepare)
{
        fixture_prepared("{\"reason\":\"start_failed\"}");
}

/* ---- the fixture ------------------------------------------------------------------------------ */

static void on_change(struct session *session, enum session_state old, void *userdata)
{
        fixture->n_moves++;
        fixture->last_old = old;
}

static void on_after_end(evutil_socket_t fd, short what, void *userdata)
{
}

static struct session_observer observer = { .on_change = on_change };

static void server_init(struct server_config *server, const char *name, const char *hash)
{
        *server = (struct server_config) {
                .name = (char *) name,
                .definition_hash = (char *) hash,
                .command = (char *) "/bin/true",
                .http_path = (char *) "/mcp",
                .keys.kinds = 1u << KEY_NAMED | 1u << KEY_TRANSPORT,
                .sessions_max = 100,
                .idle_usec = USEC_PER_MINUTE,
                .lifetime_usec = USEC_PER_HOUR,
                .start_usec = USEC_PER_MINUTE,
                .request_usec = USEC_PER_MINUTE,
                .drain_usec = USEC_PER_SEC,
                .rung_usec = USEC_PER_SEC,
        };
}

int fixture_setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        fixture = f;
        server_init(&f->lake, "lake", "1a");
        server_init(&f->pond, "pond", "2b");
        f->servers[0] = &f->lake;
        f->servers[1] = &f->pond;
        f->config = (struct config) {
                .servers = f->servers,
                .n_servers = 2,
                .sessions_max = 100,
                .starting_max = 10,
                .queue_max = 10,
                .queue_usec = USEC_PER_MINUTE,
        };
        f->supervisor.config = &f->config;
        f->supervisor.base = event_base_new();
        event_base_priority_init(f->supervisor.base, LOOP__MAX);
        f->supervisor.after_end = event_new(f->supervisor.base, -1, 0, on_after_end, NULL);
        f->supervisor.sessions = session_table_new();
        TAILQ_INIT(&f->supervisor.observers);
        supervisor_observe(&f->supervisor, &observer);
        f->supervisor.options.runtime = "/nonexistent";
        assert_int_equal(eras_new(&f->supervisor, &f->supervisor.eras), 0);
        *state = f;
        return 0;
}

int fixture_teardown(void **state)
{
        struct fixture *f = *state;

        session_table_free(f->supervisor.sessions);
        eras_free(f->supervisor.eras);
        event_free(f->supervisor.after_end);
        event_base_free(f->supervisor.base);
        free(f);
        fixture = NULL;
        return 0;
}

struct session *fixture_session(const char *server, const char *principal, enum key_kind kind, const char *key)
{
        struct record record = { .kind = kind, .generation = 1, .idle_usec = USEC_PER_MINUTE };

        assert_int_equal(session_make_id(record.id), 0);
        assert_int_equal(session_make_token(record.token), 0);
        assert_int_equal(STR_COPY(record.server, server), 0);
        assert_int_equal(STR_COPY(record.principal, principal), 0);
        assert_int_equal(STR_COPY(record.key, key), 0);
        struct session *session = session_new(&fixture->supervisor, &record);

        assert_non_null(session);
        session->start_usec = USEC_PER_MINUTE;
        session->rung_usec = USEC_PER_SEC;
        assert_int_equal(session_table_add(fixture->supervisor.sessions, session), 0);
        return session;
}

void fixture_turn(void)
{
        event_base_loop(fixture->supervisor.base, EVLOOP_NONBLOCK);
}

void fixture_prepared(const char *failure_json)
{
        struct prepare *prepare = fixture->preparing;

        assert_non_null(prepare);
        prepare->on_done(prepare, failure_json, failure_json ? strlen(failure_json) : 0, prepare->userdata);
}
