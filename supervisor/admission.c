#include "supervisor/admission.h"

#include "common/log.h"
#include "supervisor/prepare.h"
#include "supervisor/supervisor.h"

/* Sessions of one server name that hold room. */
struct admission_server {
        LIST_ENTRY(admission_server) entry;
        unsigned rooms;
        char name[IPC_SERVER_SIZE];
};

/* What is known about one definition of a server (server_config.definition_hash). */
struct definition {
        LIST_ENTRY(definition) entry;
        struct admission *admission;
        bool is_prepared;         /* needs no prepare command any more */
        bool is_proven;           /* had a ready session: starts need not be alone */
        struct prepare *prepare;  /* running */
        struct session *first;    /* the start that runs alone, or that prepares */
        char hash[];
};

struct admission {
        struct supervisor *supervisor;
        struct session_observer observer;
        TAILQ_HEAD(, session) queue;
        LIST_HEAD(, admission_server) servers;
        LIST_HEAD(, definition) definitions;
        struct event *pump_event;
        unsigned n_queued, n_rooms, n_starting;
        bool is_pumping;
};

static struct admission_server *server_get(struct admission *a, const char *name)
{
        struct admission_server *server;

        LIST_FOREACH(server, &a->servers, entry)
                if (streq(server->name, name))
                        return server;
        server = calloc(1, sizeof(*server));
        if (server) {
                (void) STR_COPY(server->name, name);
                LIST_INSERT_HEAD(&a->servers, server, entry);
        }
        return server;
}

static struct definition *definition_find(const struct admission *a, const char *hash)
{
        struct definition *d;

        LIST_FOREACH(d, &a->definitions, entry)
                if (streq(d->hash, hash))
                        return d;
        return NULL;
}

static struct definition *definition_get(struct admission *a, const char *hash)
{
        struct definition *d = definition_find(a, hash);
        size_t size = strlen(hash) + 1;

        if (d)
                return d;
        d = calloc(1, sizeof(*d) + size);
        if (!d)
                return NULL;
        d->admission = a;
        memcpy(d->hash, hash, size);
        d->is_prepared = prepare_is_marked(a->supervisor, hash);
        LIST_INSERT_HEAD(&a->definitions, d, entry);
        return d;
}

static void definition_free(struct definition *d)
{
        prepare_free(d->prepare);
        LIST_REMOVE(d, entry);
        free(d);
}

/* ---- counting --------------------------------------------------------------------------------- */

static int room_take(struct admission *a, struct session *s)
{
        struct admission_server *server = server_get(a, s->record.server);

        if (!server)
                return -ENOMEM;
        s->holds_room = true;
        server->rooms++;
        a->n_rooms++;
        return 0;
}

static void room_release(struct admission *a, struct session *s)
{
        struct admission_server *server = server_get(a, s->record.server);

        if (!s->holds_room)
                return;
        s->holds_room = false;
        a->n_rooms--;
        if (--server->rooms == 0) {
                LIST_REMOVE(server, entry);
                free(server);
        }
}

static void start_release(struct admission *a, struct session *s)
{
        if (!s->holds_start)
                return;
        s->holds_start = false;
        a->n_starting--;
}

static void queue_remove(struct admission *a, struct session *s)
{
        TAILQ_REMOVE(&a->queue, s, of_queue);
        s->is_queued = false;
        a->n_queued--;
}

static unsigned rooms_of(struct admission *a, const char *name)
{
        struct admission_server *server;

        LIST_FOREACH(server, &a->servers, entry)
                if (streq(server->name, name))
                        return server->rooms;
        return 0;
}

/* ---- preparing -------------------------------------------------------------------------------- */

/* Everyone who waits for this definition hears the same failure: trying again for each would take
 * as long again for each. */
static void definition_fail(struct definition *d, const char *failure_json, size_t size)
{
        struct admission *a = d->admission;
        struct session *s = TAILQ_FIRST(&a->queue), *first = d->first;

        d->first = NULL;
        if (first) {
                session_set_end(first, true, REASON_start_failed, failure_json, size);
                session_dispatch(first, EVENT_START_FAILED);
        }
        while (s) {
                struct session *next = TAILQ_NEXT(s, of_queue);

                if (s->record.definition_hash && streq(s->record.definition_hash, d->hash)) {
                        session_set_end(s, true, REASON_start_failed, failure_json, size);
                        session_dispatch(s, EVENT_START_FAILED);
                }
                s = next;
        }
}

static void on_prepared(struct prepare *prepare, const char *failure_json, size_t size, void *userdata)
{
        struct definition *d = userdata;
        struct admission *a = d->admission;

        d->prepare = prepare_free(prepare);
        d->is_prepared = failure_json == NULL;
        if (!d->is_prepared)
                definition_fail(d, failure_json, size);
        else if (d->first)
                session_dispatch(d->first, EVENT_LAUNCH);
        event_active(a->pump_event, EV_TIMEOUT, 0);
        event_active(a->supervisor->after_end, EV_TIMEOUT, 0);
}

static int prepare_start(struct definition *d, const struct server_config *server)
{
        int r = prepare_new(d->admission->supervisor, server, on_prepared, d, &d->prepare);

        if (r < 0)
                return log_errno(r, "server %s: cannot run its prepare command", server->name);
        log_info("server %s: preparing", server->name);
        return 0;
}

/* ---- the queue -------------------------------------------------------------------------------- */

static bool may_start(struct admission *a, const struct server_config *server, const struct definition *d)
{
        const struct config *config = a->supervisor->config;

        if (d && (d->prepare || (d->first && !d->is_proven)))
                return false;
        return a->n_starting < config->starting_max && a->n_rooms < config->sessions_max &&
               rooms_of(a, server->name) < server->sessions_max;
}

/* Starts s, which leaves the queue. False: no memory, it stays queued up to its deadline. */
static bool admit(struct admission *a, struct session *s, const struct server_config *server, struct definition *d)
{
        if (room_take(a, s) < 0)
                return false;
        queue_remove(a, s);
        s->holds_start = true;
        a->n_starting++;
        if (!d->is_proven)
                d->first = s;
        if (!server->prepare || d->is_prepared) {
                session_dispatch(s, EVENT_LAUNCH);
                return true;
        }
        d->first = s;
        session_dispatch(s, EVENT_PREPARE);
        if (prepare_start(d, server) < 0)
                definition_fail(d, NULL, 0);
        return true;
}

/* One look at one queued session. True when the queue may have changed under the caller. */
static bool consider(struct admission *a, struct session *s)
{
        const struct server_config *server = config_find(a->supervisor->config, s->record.server);

        if (!server) {
                session_set_end(s, true, REASON_unknown_path, NULL, 0);
                session_dispatch(s, EVENT_START_FAILED);
                return true;
        }
        /* The definition in force counts, not the one at the time of the request. */
        if (!s->record.definition_hash || !streq(s->record.definition_hash, server->definition_hash)) {
                char *hash = strdup(server->definition_hash);

                if (!hash)
                        return false;
                free(s->record.definition_hash);
                s->record.definition_hash = hash;
        }
        struct definition *d = definition_get(a, server->definition_hash);

        if (!d || !may_start(a, server, d))
                return false;
        return admit(a, s, server, d);
}

static void pump(struct admission *a)
{
        if (a->is_pumping || a->supervisor->is_stopping)
                return;
        a->is_pumping = true;
        struct session *s = TAILQ_FIRST(&a->queue);

        while (s)
                s = consider(a, s) ? TAILQ_FIRST(&a->queue) : TAILQ_NEXT(s, of_queue);
        a->is_pumping = false;
}

static void on_pump(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        pump(userdata);
}

bool admission_has_room(struct admission *a, const struct server_config *server)
{
        return may_start(a, server, definition_find(a, server->definition_hash));
}

bool admission_has_place(struct admission *a, const struct server_config *server)
{
        return a->n_queued < a->supervisor->config->queue_max || admission_has_room(a, server);
}

void admission_enter(struct admission *a, struct session *s)
{
        TAILQ_INSERT_TAIL(&a->queue, s, of_queue);
        s->is_queued = true;
        a->n_queued++;
        pump(a);
}

int admission_adopt(struct admission *a, struct session *s)
{
        return room_take(a, s);
}

/* ---- watching the sessions -------------------------------------------------------------------- */

static void note_proven(struct admission *a, struct session *s)
{
        struct definition *d = s->record.definition_hash ? definition_get(a, s->record.definition_hash) : NULL;

        if (d && !d->is_proven) {
                d->is_proven = d->is_prepared = true;
                event_active(a->pump_event, EV_TIMEOUT, 0);
        }
}

static void forget_first(struct admission *a, const struct session *s)
{
        struct definition *d;

        LIST_FOREACH(d, &a->definitions, entry)
                if (d->first == s)
                        d->first = NULL;
}

static void on_change(struct session *s, _unused_ enum session_state old, void *userdata)
{
        struct admission *a = userdata;

        if (s->state == SESSION_QUEUED || s->state == SESSION_PREPARING || s->state == SESSION_STARTING)
                return;
        if (s->is_queued)
                queue_remove(a, s);
        if (s->state == SESSION_READY)
                note_proven(a, s);
        forget_first(a, s);
        start_release(a, s);
        if (session_state_is_final(s->state) || s->state == SESSION_DORMANT)
                room_release(a, s);
        event_active(a->pump_event, EV_TIMEOUT, 0);
}

int admission_new(struct supervisor *supervisor, struct admission **ret)
{
        _cleanup_(admission_freep) struct admission *a = calloc(1, sizeof(*a));

        if (!a)
                return -ENOMEM;
        a->supervisor = supervisor;
        TAILQ_INIT(&a->queue);
        LIST_INIT(&a->servers);
        LIST_INIT(&a->definitions);
        a->observer.on_change = on_change;
        a->observer.userdata = a;
        a->pump_event = event_new(supervisor->base, -1, 0, on_pump, a);
        if (!a->pump_event)
                return -ENOMEM;
        supervisor_observe(supervisor, &a->observer);
        *ret = TAKE_PTR(a);
        return 0;
}

struct admission *admission_free(struct admission *a)
{
        if (!a)
                return NULL;
        if (a->pump_event) {
                supervisor_unobserve(a->supervisor, &a->observer);
                event_free(a->pump_event);
        }
        while (!LIST_EMPTY(&a->definitions))
                definition_free(LIST_FIRST(&a->definitions));
        for (struct admission_server *server; (server = LIST_FIRST(&a->servers));) {
                LIST_REMOVE(server, entry);
                free(server);
        }
        free(a);
        return NULL;
}

static bool definition_is_configured(const struct config *config, const char *hash)
{
        for (size_t i = 0; i < config->n_servers; i++)
                if (streq(config->servers[i]->definition_hash, hash))
                        return true;
        return false;
}

void admission_reconsider(struct admission *a)
{
        struct definition *d = LIST_FIRST(&a->definitions);

        while (d) {
                struct definition *next = LIST_NEXT(d, entry);

                if (!d->prepare && !d->first && !definition_is_configured(a->supervisor->config, d->hash))
                        definition_free(d);
                d = next;
        }
        event_active(a->pump_event, EV_TIMEOUT, 0);
}

unsigned admission_queued(const struct admission *a)
{
        return a->n_queued;
}

unsigned admission_starting(const struct admission *a)
{
        return a->n_starting;
}

unsigned admission_rooms(const struct admission *a)
{
        return a->n_rooms;
}

void admission_stop(struct admission *a)
{
        struct definition *d;

        LIST_FOREACH(d, &a->definitions, entry)
                if (d->prepare)
                        prepare_kill(d->prepare);
}

bool admission_is_busy(const struct admission *a)
{
        struct definition *d;

        LIST_FOREACH(d, &a->definitions, entry)
                if (d->prepare)
                        return true;
        return false;
}
