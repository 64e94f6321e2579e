#include "supervisor/dormant.h"

#include "common/json_scan.h"
#include "common/log.h"
#include "supervisor/admission.h"
#include "supervisor/launch.h"
#include "supervisor/lifecycle.h"
#include "supervisor/log_event.h"
#include "supervisor/routers.h"
#include "supervisor/supervisor.h"
#include "supervisor/waiter.h"

/* ---- what is kept ----------------------------------------------------------------------------- */

/* [[kind, key], …], oldest first. */
static int aliases_write(const struct session *s, char **ret)
{
        _cleanup_json_writer_ struct json_writer w = { .failed = false };
        const struct session_alias *alias;
        const char *comma = "";

        json_writer_text(&w, "[");
        TAILQ_FOREACH(alias, &s->aliases, of_session) {
                json_writer_format(&w, "%s[%d,", comma, (int) alias->kind);
                json_writer_string(&w, alias->key);
                json_writer_text(&w, "]");
                comma = ",";
        }
        json_writer_text(&w, "]");
        return json_writer_finish(&w, ret, NULL);
}

static int alias_read(struct session *s, struct json_slice pair)
{
        struct session_alias *evicted = NULL;
        struct json_slice value;
        char key[IPC_KEY_SIZE];
        size_t cursor = 0;
        int64_t kind;

        if (json_next(pair, &cursor, NULL, &value) <= 0 || json_integer(value, &kind) < 0 || kind <= 0 ||
            kind >= KEY__MAX || json_next(pair, &cursor, NULL, &value) <= 0 ||
            json_string_copy(value, key, sizeof(key)) < 0)
                return -EBADMSG;
        int r = session_alias_add(s->supervisor->sessions, s, (enum key_kind) kind, key, &evicted);

        free(evicted);
        return MIN_OF(r, 0);
}

static int aliases_read(struct session *s, const char *text)
{
        struct json_slice array, pair;
        int r = text ? json_validate(text, strlen(text), &array) : -EBADMSG;

        for (size_t cursor = 0; r >= 0 && json_next(array, &cursor, NULL, &pair) > 0;)
                r = alias_read(s, pair);
        return r;
}

static void record_keep(struct session *s)
{
        free(s->record.aliases);
        s->record.aliases = NULL;
        int r = aliases_write(s, &s->record.aliases);

        if (r >= 0)
                r = record_write(s->supervisor->records_fd, &s->record);
        if (r < 0)
                (void) log_warning_errno(r, "session %s: a restart of the supervisor would end it", s->record.id);
}

void dormant_keep(struct session *s, const char *revive, size_t size)
{
        free(s->record.revive);
        s->record.revive = strndup(revive, size);
        if (s->record.revive)
                record_keep(s);
}

static void kept_free(struct record *record)
{
        free(TAKE_PTR(record->revive));
        free(TAKE_PTR(record->aliases));
        record->dormant_usec = 0;
}

void dormant_forget(struct session *s)
{
        if (!s->record.revive)
                return;
        bool was_dormant = s->state == SESSION_DORMANT;

        kept_free(&s->record);
        /* A dormant one is buried next, and its record with it; else a restart must not think otherwise. */
        if (!was_dormant)
                record_keep(s);
}

void dormant_woke(struct session *s)
{
        if (!s->record.revive || session_state_is_ending(s->state))
                return;
        session_forget_end(s);
        dormant_forget(s);
}

/* ---- falling asleep --------------------------------------------------------------------------- */

/* Ends the one that has been dormant for the longest time when there are too many. */
static void make_room(struct supervisor *supervisor)
{
        struct session *oldest = NULL;
        unsigned n = 0;

        for (struct session *s = session_next(supervisor->sessions, NULL); s; s = session_next(supervisor->sessions, s))
                if (s->state == SESSION_DORMANT) {
                        n++;
                        if (!oldest || s->record.dormant_usec < oldest->record.dormant_usec)
                                oldest = s;
                }
        if (n > supervisor->config->tombstones_max)
                lifecycle_stop(oldest, REASON_session_ended, NULL, 0);
}

void dormant_begin(struct session *s)
{
        s->record.dormant_usec = s->since_realtime_usec;
        record_keep(s);
        log_event_session(LOG_EVENT_SESSION_DORMANT, s, "dormant");
        make_room(s->supervisor);
}

void dormant_recall(struct session *s)
{
        static const struct failure why = { .reason = REASON_session_ended, .detail = "it was idle for too long" };
        _cleanup_free_ char *json = NULL;
        size_t size = 0;

        if (!s->record.revive)
                return;
        if (aliases_read(s, s->record.aliases) < 0)
                log_warning("session %s: its aliases are lost", s->record.id);
        (void) failure_to_json(&why, &json, &size);
        session_set_end(s, false, why.reason, json, size);
}

int dormant_restore(struct supervisor *supervisor, struct record *record_consume)
{
        _cleanup_(session_freep) struct session *s = session_new(supervisor, record_consume);

        if (!s)
                return -ENOMEM;
        int r = s->record.revive ? session_table_add(supervisor->sessions, s) : -EBADMSG;

        if (r < 0)
                return r;
        struct session *added = TAKE_PTR(s);

        dormant_recall(added);
        session_set_state(added, SESSION_DORMANT);
        if (!config_find(supervisor->config, added->record.server))
                lifecycle_stop(added, REASON_stopping, NULL, 0);
        return 0;
}

/* ---- waking up -------------------------------------------------------------------------------- */

/* Its last generation is a tombstone and keeps its aliases as well. */
static void aliases_copy(const struct session *from, struct session *to)
{
        struct supervisor *supervisor = to->supervisor;
        const struct session_alias *alias;

        TAILQ_FOREACH(alias, &from->aliases, of_session) {
                struct session_alias *evicted = NULL;

                if (session_alias_add(supervisor->sessions, to, alias->kind, alias->key, &evicted) > 0)
                        routers_push_alias(supervisor->routers, to, alias->kind, alias->key, false);
                free(evicted);
        }
}

static void take_over(const struct session *from, struct session *to)
{
        aliases_copy(from, to);
        if (!to->record.revive)
                return;
        /* While it waits for its turn it is still what a restart would find: dormant. */
        if (to->state == SESSION_QUEUED || to->state == SESSION_PREPARING)
                to->record.dormant_usec = now_realtime_usec();
        record_keep(to);
}

/* Whoever else waits for the end of s hears of it when the next generation has the key: until then, a question
 * that may make a session would make one without clients. Its record goes last: a supervisor that is killed before
 * leaves both, and the next one goes by the newer (rebuild.c). */
static int follow(struct session *s, const struct server_config *server, const struct session_request *request,
                  struct session **ret)
{
        struct waiter_list others = TAILQ_HEAD_INITIALIZER(others);

        waiters_move(&s->waiters, &others);
        s->is_followed = true;
        lifecycle_stop(s, REASON_session_ended, NULL, 0);
        int r = lifecycle_create(s->supervisor, server, request, ret);

        if (r >= 0 && request->revive)
                take_over(s, *ret);
        launch_remove_record(s);
        waiters_move(&others, &s->waiters);
        waiters_ended(s);
        return r;
}

int dormant_wake(struct session *s, const struct server_config *server, bool with_clients, bool awaits_request,
                 struct session **ret)
{
        struct supervisor *supervisor = s->supervisor;
        _cleanup_free_ char *revive = with_clients ? strdup(s->record.revive) : NULL;
        _cleanup_free_ char *aliases = with_clients && s->record.aliases ? strdup(s->record.aliases) : NULL;
        struct session_request request = lifecycle_request_like(s);

        if (with_clients && !revive)
                return -ENOMEM;
        if (supervisor->is_stopping)
                return -ESHUTDOWN;
        if (!admission_has_place(supervisor->admission, server))
                return -EBUSY;
        request.awaits_request = awaits_request;
        request.revive = revive;
        request.aliases = aliases;
        log_event_session(LOG_EVENT_SESSION_WOKEN, s, "asked for again, generation %u follows", request.generation);
        return follow(s, server, &request, ret);
}

/* ---- clients that leave ----------------------------------------------------------------------- */

static void write_client(struct json_writer *w, struct json_slice client, const char *left, bool *is_first)
{
        struct json_slice id;

        if (json_get(client, "id", &id) >= 0 && json_string_is(id, left))
                return;
        json_writer_text(w, *is_first ? "" : ",");
        json_writer_raw(w, client.data, client.size);
        *is_first = false;
}

/* The object without the client; every other byte stays. */
static int revive_without(const char *revive, const char *left, char **ret, bool *ret_is_last)
{
        _cleanup_json_writer_ struct json_writer w = { .failed = false };
        struct json_slice object, clients, client;
        bool is_first = true;
        int r = json_validate(revive, strlen(revive), &object);

        if (r >= 0)
                r = json_get(object, "clients", &clients);
        if (r < 0)
                return r;
        json_writer_raw(&w, object.data, (size_t) (clients.data - object.data));
        json_writer_text(&w, "[");
        for (size_t cursor = 0; json_next(clients, &cursor, NULL, &client) > 0;)
                write_client(&w, client, left, &is_first);
        json_writer_text(&w, "]");
        json_writer_raw(&w, clients.data + clients.size,
                        (size_t) (object.data + object.size - (clients.data + clients.size)));
        *ret_is_last = is_first;
        return json_writer_finish(&w, ret, NULL);
}

void dormant_drop_client(struct session *s, const char *transport_id)
{
        bool is_own = s->record.kind == KEY_TRANSPORT && streq(s->record.key, transport_id);
        bool ends_with_them = !s->record.is_put && (s->record.kind == KEY_TRANSPORT || s->record.kind == KEY_NAMED);
        _cleanup_free_ char *revive = NULL;
        bool is_last = false;

        if (!is_own && !session_alias_remove(s->supervisor->sessions, s, KEY_TRANSPORT, transport_id))
                return;
        if (revive_without(s->record.revive, transport_id, &revive, &is_last) < 0)
                return;
        if (is_last && ends_with_them)
                lifecycle_stop(s, REASON_session_ended, "its client deleted it", 0);
        else
                dormant_keep(s, revive, strlen(revive));
}
