#include "supervisor/workers.h"

#include "common/json_scan.h"
#include "common/log.h"
#include "supervisor/dormant.h"
#include "supervisor/rebuild.h"
#include "supervisor/routers.h"
#include "supervisor/session_logs.h"
#include "supervisor/supervisor.h"

#include <sys/wait.h>

#define LAST_LINES_BYTES_MAX (16u * 1024)

static int alias_add(struct session *s, enum key_kind kind, const char *key)
{
        struct session_alias *evicted = NULL;
        int r = session_alias_add(s->supervisor->sessions, s, kind, key, &evicted);

        if (r < 0)
                return r;
        if (evicted)
                routers_push_alias(s->supervisor->routers, s, evicted->kind, evicted->key, true);
        free(evicted);
        if (r > 0)
                routers_push_alias(s->supervisor->routers, s, kind, key, false);
        return 0;
}

/* READY, or IDLE where the worker has said already that nothing is in flight. */
static void become_ready(struct session *s)
{
        session_dispatch(s, EVENT_READY);
        if (s->status_usec > 0 && s->status.in_flight == 0)
                session_dispatch(s, EVENT_QUIET);
}

/* ---- HELLO ------------------------------------------------------------------------------------ */

int workers_hello(struct peer *peer, struct session *s, const struct ipc_hello *hello)
{
        struct ipc_welcome welcome = { .version = IPC_VERSION };

        if (s->worker)
                peer_detach(s->worker); /* it ended, and its EOF was not read yet */
        s->worker = peer;
        peer->session = s;
        /* The kernel's word rather than the message's: this pid may be killed one day. */
        s->worker_pid = peer->pid > 0 ? peer->pid : (pid_t) hello->pid;
        s->backend_pid = (pid_t) hello->backend_pid;
        /* An adopted session may be ending before its worker comes: what is to be killed must be known then, too. */
        if (s->tracked && (s->state == SESSION_ADOPTING || tracked_worker_pid(s->tracked) != s->worker_pid)) {
                rebuild_name_worker(s, s->worker_pid);
                s->supervisor->counters.sessions_adopted++;
        }
        (void) IPC_SEND(peer->channel, IPC_WELCOME, 0, &welcome);
        if (!hello->is_gone)
                dormant_woke(s);
        if (hello->is_gone)
                session_dispatch(s, EVENT_GONE);
        else if (hello->is_ready && !session_state_is_ending(s->state))
                become_ready(s);
        else
                session_dispatch(s, EVENT_HELLO); /* when it is ending: STOP, which it has not heard */
        return 0;
}

/* ---- the end of a connection ------------------------------------------------------------------ */

void workers_hangup(struct peer *peer)
{
        struct session *s = peer->session;

        log_requests_end(peer);
        if (!s)
                return;
        peer->session = NULL;
        s->worker = NULL;
        if (!session_state_is_ending(s->state)) {
                s->supervisor->counters.workers_lost++;
                log_warning("session %s: lost its worker", s->record.id);
        }
        session_dispatch(s, EVENT_WORKER_LOST);
}

void workers_session_ended(struct session *s)
{
        if (s->worker)
                peer_detach(s->worker);
}

/* ---- messages --------------------------------------------------------------------------------- */

int workers_on_alias(struct peer *peer, const struct ipc_message *m)
{
        const struct ipc_alias *alias = m->body;
        struct session *s = peer->session;

        if (!IPC_STRING_OK(alias->id) || !IPC_STRING_OK(alias->key) || !streq(alias->id, s->record.id) ||
            !session_may_have_alias(s, alias->kind, alias->key))
                return -EBADMSG;
        if (!alias->is_removed)
                return alias_add(s, (enum key_kind) alias->kind, alias->key);
        if (session_alias_remove(s->supervisor->sessions, s, (enum key_kind) alias->kind, alias->key))
                routers_push_alias(s->supervisor->routers, s, (enum key_kind) alias->kind, alias->key, true);
        return 0;
}

int workers_on_spawned(struct peer *peer, const struct ipc_message *m)
{
        const struct ipc_spawned *spawned = m->body;

        peer->session->backend_pid = (pid_t) spawned->backend_pid;
        session_notify(peer->session, peer->session->state);
        return 0;
}

int workers_on_ready(struct peer *peer, _unused_ const struct ipc_message *m)
{
        struct session *s = peer->session;

        if (s->state == SESSION_STARTING && s->record.kind != KEY_PROBE) {
                s->supervisor->counters.start_usec_sum += now_usec() - s->since_usec;
                s->supervisor->counters.sessions_started++;
        }
        become_ready(s);
        return 0;
}

int workers_on_status(struct peer *peer, const struct ipc_message *m)
{
        struct session *s = peer->session;

        s->status = *(const struct ipc_status *) m->body;
        s->status_usec = now_usec();
        session_dispatch(s, s->status.in_flight > 0 ? EVENT_BUSY : EVENT_QUIET);
        /* Somebody asked (STATUS_GET) and waits for it. */
        if (m->cookie != 0)
                session_notify(s, s->state);
        return 0;
}

static bool exited_cleanly(const struct session *s)
{
        return s->last_exit.is_known && s->last_exit.code == CLD_EXITED && s->last_exit.status == 0;
}

/* What a session that was idle can be revived with. Nobody wanted its end before that. */
static void keep(struct session *s, const struct ipc_message *m)
{
        struct json_slice object, revive;

        if (m->blob_size > 0 && json_validate(m->blob, m->blob_size, &object) >= 0 &&
            json_get(object, "revive", &revive) >= 0 && json_slice_type(revive) == JSON_OBJECT)
                dormant_keep(s, revive.data, revive.size);
}

int workers_on_gone(struct peer *peer, const struct ipc_message *m)
{
        static const struct {
                bool is_failure;
                enum reason reason;
        } causes[] = {
                [GONE_IDLE] = { false, REASON_session_ended },
                [GONE_DELETED] = { false, REASON_session_ended },
                [GONE_BACKEND_EXITED] = { true, REASON_backend_exited },
                [GONE_START_FAILED] = { true, REASON_start_failed },
                [GONE_START_TIMEOUT] = { true, REASON_start_timeout },
                [GONE_STOPPED] = { false, REASON_session_ended },
                [GONE_REPLACED] = { false, REASON_replaced },
        };
        const struct ipc_gone *gone = m->body;
        struct session *s = peer->session;
        _cleanup_(failure_owned_freep) struct failure_owned *failure = NULL;
        _cleanup_free_ char *json = NULL;
        size_t size = 0;

        if (gone->cause == 0 || gone->cause >= ELEMENTSOF(causes))
                return -EBADMSG;
        bool is_failure = causes[gone->cause].is_failure &&
                          !(gone->cause == GONE_BACKEND_EXITED && exited_cleanly(s));
        if (m->blob_size > 0 && failure_from_json(m->blob, m->blob_size, &failure) >= 0)
                (void) failure_to_json(failure_get(failure), &json, &size); /* and nothing that came with it */

        if (gone->cause == GONE_IDLE && s->end_reason == REASON__MAX)
                keep(s, m);
        /* The cause is older than this reason: it tells only that the backend exited, or did not start. */
        enum reason reason = failure && failure_get(failure)->reason == REASON_out_of_memory
                                     ? REASON_out_of_memory : causes[gone->cause].reason;

        session_set_end(s, is_failure, reason, json, size);
        session_dispatch(s, EVENT_GONE);
        return 0;
}

int workers_on_backend_exited(struct peer *peer, const struct ipc_message *m)
{
        const struct ipc_exited *exited = m->body;
        struct session *s = peer->session;
        size_t size = MIN_OF(m->blob_size, (size_t) LAST_LINES_BYTES_MAX);

        s->last_exit = (struct session_exit) {
                .is_known = true,
                .pid = (pid_t) exited->pid,
                .code = exited->code,
                .status = exited->status,
        };
        s->backend_pid = 0;
        free(s->last_lines);
        s->last_lines = size > 0 ? strndup(m->blob + m->blob_size - size, size) : NULL;
        session_notify(s, s->state);
        return 0;
}
