#include "supervisor/lifecycle.h"

#include "common/log.h"
#include "common/process_tree.h"
#include "supervisor/admission.h"
#include "supervisor/dormant.h"
#include "supervisor/janitor.h"
#include "supervisor/launch.h"
#include "supervisor/log_event.h"
#include "supervisor/peers.h"
#include "supervisor/supervisor.h"
#include "supervisor/waiter.h"
#include "supervisor/workers.h"

#include <stdio.h>

#define LOOK_AGAIN_USEC (10 * USEC_PER_MSEC)

/* ---- making ----------------------------------------------------------------------------------- */

static int copy_text(char **dst, const char *text)
{
        if (text && !(*dst = strdup(text)))
                return -ENOMEM;
        return 0;
}

static unsigned next_generation(const struct supervisor *supervisor, const char *server,
                                const struct session_request *request)
{
        const struct session *last = session_find_ended_key(supervisor->sessions, request->principal, server,
                                                            request->kind, request->key);

        return last ? last->record.generation + 1 : 1;
}

static int record_fill(struct supervisor *supervisor, const struct server_config *server,
                       const struct session_request *request, struct record *record)
{
        int r = session_make_id(record->id);

        if (r >= 0)
                r = session_make_token(record->token);
        if (r >= 0)
                r = STR_COPY(record->server, server->name);
        if (r >= 0)
                r = STR_COPY(record->principal, request->principal);
        if (r >= 0)
                r = STR_COPY(record->key, request->key);
        if (r >= 0)
                r = copy_text(&record->labels, request->labels);
        if (r >= 0)
                r = copy_text(&record->config, request->config);
        if (r >= 0)
                r = copy_text(&record->definition_hash, server->definition_hash);
        if (r >= 0 && request->body_digest)
                r = STR_COPY(record->body_digest, request->body_digest);
        record->is_put = request->body_digest != NULL;
        record->kind = request->kind;
        record->generation = request->generation > 0 ? request->generation
                                                     : next_generation(supervisor, server->name, request);
        record->created_usec = now_realtime_usec();
        record->has_seed = request->has_seed;
        record->seed = request->seed;
        record->has_uid = record->is_uid_dynamic = request->dynamic_uid > 0;
        record->uid = request->dynamic_uid;
        record->idle_usec = request->idle_usec > 0 ? request->idle_usec : server->idle_usec;
        record->lifetime_usec = request->lifetime_usec > 0 ? request->lifetime_usec : server->lifetime_usec;
        return r;
}

struct session_request lifecycle_request_like(const struct session *s)
{
        const struct record *record = &s->record;

        return (struct session_request) {
                .principal = record->principal,
                .key = record->key,
                .kind = (enum key_kind) record->kind,
                .generation = record->generation + 1,
                .has_seed = record->has_seed,
                .seed = record->seed,
                .labels = record->labels,
                .config = record->config,
                .dynamic_uid = record->is_uid_dynamic ? record->uid : 0,
                .idle_usec = record->idle_usec,
                .lifetime_usec = record->lifetime_usec,
                .body_digest = record->is_put ? record->body_digest : NULL,
        };
}

int lifecycle_create(struct supervisor *supervisor, const struct server_config *server,
                     const struct session_request *request, struct session **ret)
{
        struct record record = { .kind = 0 };

        if (supervisor->is_stopping)
                return -ESHUTDOWN;
        if (!admission_has_place(supervisor->admission, server))
                return -EBUSY;
        int r = record_fill(supervisor, server, request, &record);

        if (r < 0) {
                record_done(&record);
                return r;
        }
        _cleanup_(session_freep) struct session *s = session_new(supervisor, &record);

        if (!s)
                return -ENOMEM;
        s->awaits_request = request->awaits_request;
        r = copy_text(&s->record.revive, request->revive);
        if (r >= 0)
                r = copy_text(&s->record.aliases, request->aliases);
        if (r >= 0)
                r = session_table_add(supervisor->sessions, s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        if (request->kind == KEY_PROBE)
                supervisor->counters.probes++;
        else
                supervisor->counters.sessions_created++;
        lifecycle_set_definition(*ret, server);
        lifecycle_arm_lifetime(*ret);
        session_set_state(*ret, SESSION_QUEUED);
        admission_enter(supervisor->admission, *ret);
        return 0;
}

void lifecycle_set_definition(struct session *s, const struct server_config *server)
{
        if (!server)
                return;
        s->start_usec = server->start_usec;
        s->drain_usec = s->stop_drain_usec = server->drain_usec;
        s->rung_usec = server->rung_usec;
}

static void on_lifetime(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct session *s = userdata;

        log_info("session %s: its maximum lifetime is over", s->record.id);
        lifecycle_stop(s, REASON_session_ended, "its maximum lifetime was over", s->drain_usec);
}

void lifecycle_arm_lifetime(struct session *s)
{
        if (s->record.lifetime_usec == USEC_INFINITY)
                return;
        usec_t end = usec_add(s->record.created_usec, s->record.lifetime_usec), now = now_realtime_usec();
        struct timeval timeout = usec_to_timeval(end > now ? end - now : 0);

        s->lifetime = event_new(s->supervisor->base, -1, 0, on_lifetime, s);
        if (s->lifetime)
                event_add(s->lifetime, &timeout);
}

/* ---- the verbs -------------------------------------------------------------------------------- */

/* It is draining already and will be done by then. */
static bool drains_sooner(const struct session *s, usec_t drain_usec)
{
        return s->state == SESSION_DRAINING &&
               (s->drain_until_usec ?: usec_add(s->since_usec, s->stop_drain_usec)) <= usec_add(now_usec(), drain_usec);
}

void lifecycle_stop(struct session *s, enum reason reason, const char *detail, usec_t drain_usec)
{
        const struct failure failure = { .reason = reason, .detail = detail };
        _cleanup_free_ char *json = NULL;
        size_t size = 0;

        dormant_forget(s);
        if (session_state_is_final(s->state) || s->state == SESSION_KILLING || drains_sooner(s, drain_usec))
                return;
        s->stop_drain_usec = drain_usec;
        s->drain_until_usec = usec_add(now_usec(), drain_usec);
        if (detail)
                (void) failure_to_json(&failure, &json, &size);
        session_set_end(s, false, reason, json, size);
        session_dispatch(s, EVENT_STOP);
}

void lifecycle_kill(struct session *s, enum reason reason)
{
        dormant_forget(s);
        session_set_end(s, false, reason, NULL, 0);
        session_dispatch(s, EVENT_KILL);
}

/* ---- the actions ------------------------------------------------------------------------------ */

static void act_launch(struct session *s)
{
        _cleanup_free_ char *failure = NULL;
        int r = launch_worker(s, &failure);

        if (r < 0) {
                log_event_session(LOG_EVENT_START_FAILED, s, "cannot start server %s: %s%s%s", s->record.server,
                                  strerror(-r), failure ? ": " : "", failure ? failure : "");
                session_set_end(s, true, REASON_start_failed, failure, failure ? strlen(failure) : 0);
                session_dispatch(s, EVENT_START_FAILED);
                return;
        }
        log_event_session(LOG_EVENT_SESSION_STARTED, s, "started, server %s, key %s, generation %u", s->record.server,
                          s->record.key, s->record.generation);
        session_notify(s, s->state);
}

/* Without a connection nothing is sent: HELLO brings the session here again, with what is left of the time, or the
 * deadline ends it. */
static void act_send_stop(struct session *s)
{
        struct ipc_stop stop = {
                .drain_usec = usec_until(s->drain_until_usec),
                .rung_usec = s->rung_usec,
                .reason = s->end_reason == REASON__MAX ? REASON_session_ended : (uint32_t) s->end_reason,
        };

        if (s->worker)
                (void) IPC_SEND(s->worker->channel, IPC_STOP, 0, &stop);
}

static void act_kill(struct session *s)
{
        int r = s->tracked ? tracked_kill(s->tracked) : 0;

        if (r < 0)
                (void) log_errno(r, "session %s: cannot kill its processes", s->record.id);
        /* Told from the loop even when they were gone before. */
        event_active(s->emptied, EV_TIMEOUT, 0);
}

static void act_kill_again(struct session *s)
{
        log_warning("session %s: killed, but its processes are still there (%s)", s->record.id,
                    s->tracking ? s->tracking : "never tracked");
        act_kill(s);
}

static void log_end(const struct session *s)
{
        const char *reason = s->end_reason == REASON__MAX ? "session_ended" : reason_to_string(s->end_reason);
        _cleanup_free_ char *detail = session_end_detail(s);
        enum log_event event = s->end_reason == REASON_out_of_memory ? LOG_EVENT_SESSION_NO_MEMORY
                               : s->is_failed                       ? LOG_EVENT_SESSION_FAILED
                                                                    : LOG_EVENT_SESSION_STOPPED;

        log_event_session(event, s, "%s (%s%s%s)", session_state_to_string(s->state), reason, detail ? ": " : "",
                          detail ?: "");
}

/* No process is left: its files and what points to it go, the record aside. */
static void clean_up(struct session *s)
{
        event_del(s->emptied);
        if (s->lifetime)
                event_del(s->lifetime);
        children_remove(&s->worker_child);
        s->tracked = tracked_free(s->tracked);
        workers_session_ended(s);
        launch_remove_files(s);
        s->backend_pid = 0;
        event_active(s->supervisor->after_end, EV_TIMEOUT, 0);
}

static void rest(struct session *s)
{
        free(TAKE_PTR(s->tracking));
        workspace_paths_done(&s->paths);
        s->worker_pid = 0;
        dormant_begin(s);
        waiters_ended(s);
}

static void act_bury(struct session *s)
{
        struct supervisor *supervisor = s->supervisor;

        clean_up(s);
        if (s->state == SESSION_DORMANT)
                return rest(s);
        if (!s->is_followed)
                launch_remove_record(s);
        if (s->record.kind != KEY_PROBE)
                *(s->is_failed ? &supervisor->counters.sessions_failed : &supervisor->counters.sessions_stopped) += 1;
        log_end(s);
        session_table_bury(supervisor->sessions, s);
        waiters_ended(s);
}

/* Without cgroups the orphans of a worker come to us or the watch, and are killed here. Where the worker was
 * nobody's child, because an earlier run was killed whole, they went to init: there only their environment
 * tells them. */
static bool orphans_are_gone(struct session *s)
{
        struct janitor *janitor = s->supervisor->janitor;
        char mark[sizeof("ENVMUX_SESSION=") + IPC_ID_SIZE];

        if (!janitor_is_clean(janitor, s->empty_usec))
                return false;
        if (janitor_inherits(janitor, s->worker_parent))
                return true;
        (void) snprintf(mark, sizeof(mark), "ENVMUX_SESSION=%s", s->record.id);
        return process_kill_marked(mark, session_uid(s)) == 0;
}

/* True when nothing is left. A cgroup can be unpopulated and busy for a moment. */
static bool is_gone(struct session *s)
{
        if (!s->tracked)
                return true;
        if (!tracked_is_empty(s->tracked))
                return false;
        if (s->empty_usec == 0)
                s->empty_usec = now_usec();
        if (!tracking_has_cgroups(s->supervisor->tracking) && !orphans_are_gone(s))
                return false;
        if (tracked_read_usage(s->tracked, &s->usage) >= 0)
                s->usage.memory_bytes = s->usage.tasks = USAGE_UNKNOWN; /* of nothing */
        return tracked_remove(s->tracked) >= 0;
}

void lifecycle_check_empty(struct session *s)
{
        struct timeval again = usec_to_timeval(LOOK_AGAIN_USEC);

        if (s->state == SESSION_KILLING && !is_gone(s)) {
                event_add(s->emptied, &again);
                return;
        }
        session_dispatch(s, EVENT_EMPTY);
}

void lifecycle_run(struct session *s, enum session_action action)
{
        static void (*const actions[SESSION_ACTION__MAX])(struct session *session) = {
                [ACTION_LAUNCH] = act_launch,
                [ACTION_SEND_STOP] = act_send_stop,
                [ACTION_KILL] = act_kill,
                [ACTION_KILL_AGAIN] = act_kill_again,
                [ACTION_BURY] = act_bury,
        };

        if (actions[action])
                actions[action](s);
}
