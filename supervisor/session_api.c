#include "supervisor/session_api.h"

#include "common/json_scan.h"
#include "common/log.h"
#include "supervisor/dormant.h"
#include "supervisor/lifecycle.h"
#include "supervisor/rebuild.h"
#include "supervisor/resolve.h"
#include "supervisor/routers.h"
#include "supervisor/session_json.h"
#include "supervisor/session_settings.h"
#include "supervisor/supervisor.h"

#define RETRY_AFTER_SEC 2

/* What a call waits for while it hangs on a session. */
enum call_stage {
        STAGE_AGAIN, /* any change: it is looked at again then */
        STAGE_START, /* a backend that runs */
        STAGE_END,   /* that nothing of it is left */
};

struct call {
        struct waiter waiter; /* first */
        struct ipc_session_call asked;
        struct session_settings settings;
        enum call_stage stage;
        bool is_creator;
        bool has_retried;
};

static void call_look(struct call *call);

/* ---- answers ---------------------------------------------------------------------------------- */

static void reply(struct call *call, unsigned status, unsigned retry_after_sec, const char *body, size_t size)
{
        struct ipc_session_reply answer = { .http_status = status, .retry_after_sec = retry_after_sec };
        int r = ipc_send(call->waiter.peer->channel, IPC_SESSION_REPLY, call->waiter.cookie, &answer, sizeof(answer),
                         body, size);

        if (r == -EMSGSIZE) {
                answer.http_status = 500;
                (void) IPC_SEND(call->waiter.peer->channel, IPC_SESSION_REPLY, call->waiter.cookie, &answer);
        }
        waiter_end(&call->waiter);
}

static void reply_failure(struct call *call, unsigned status, const struct failure *f)
{
        _cleanup_free_ char *json = NULL;
        size_t size = 0;

        (void) failure_to_plain(f, &json, &size);
        reply(call, status, f->retry_after_sec, json, json ? size : 0);
}

static void reply_reason(struct call *call, enum reason reason, const char *detail)
{
        const struct failure f = {
                .reason = reason,
                .detail = detail,
                .retry_after_sec = reason_http_status(reason) == 503 ? RETRY_AFTER_SEC : 0,
        };

        reply_failure(call, reason_http_status(reason), &f);
}

/* What became of s; status 0: the one of its reason. */
static void reply_ended(struct call *call, unsigned status, const struct session *s)
{
        _cleanup_(failure_owned_freep) struct failure_owned *failure = NULL;
        _cleanup_free_ char *json = NULL;
        size_t size = 0;

        if (session_failure_json(s, &json, &size) < 0 || failure_from_json(json, size, &failure) < 0)
                reply_reason(call, REASON_internal, NULL);
        else
                reply_failure(call, status ?: reason_http_status(failure_get(failure)->reason), failure_get(failure));
}

static void reply_described(struct call *call, unsigned status, const struct session *s)
{
        _cleanup_json_writer_ struct json_writer w = { .failed = false };
        _cleanup_free_ char *json = NULL;
        size_t size = 0;

        session_json_write(s, &w);
        if (json_writer_finish(&w, &json, &size) < 0)
                reply_reason(call, REASON_internal, NULL);
        else
                reply(call, status, 0, json, size);
}

/* ---- the calls -------------------------------------------------------------------------------- */

static bool is_running(const struct session *s)
{
        return s->state == SESSION_READY || s->state == SESSION_IDLE;
}

static void wait_for(struct call *call, struct session *s, enum call_stage stage)
{
        call->stage = stage;
        waiter_wait(&call->waiter, &s->waiters);
}

/* A session was made for the call, or r says why not. */
static void call_made(struct call *call, int r, struct session *s)
{
        if (r < 0)
                return reply_reason(call, r == -EBUSY ? REASON_capacity
                                                      : r == -ESHUTDOWN ? REASON_stopping : REASON_internal, NULL);
        if (session_state_is_final(s->state) || s->state == SESSION_DORMANT)
                reply_ended(call, 0, s);
        else
                wait_for(call, s, STAGE_START);
}

static void call_create(struct call *call, const struct session_request *request)
{
        struct supervisor *supervisor = call->waiter.peer->supervisor;
        const struct server_config *server = config_find(supervisor->config, call->asked.server);
        struct session *s = NULL;

        if (!server)
                return reply_reason(call, REASON_unknown_path, NULL);
        if (!(server->keys.kinds & (1u << KEY_NAMED)))
                return reply_reason(call, REASON_bad_request, "this server has no named sessions");
        if (!rebuild_is_settled(supervisor->rebuild)) /* its record may be one that cannot be read now */
                return reply_reason(call, REASON_unavailable, NULL);
        int r = lifecycle_create(supervisor, server, request, &s);

        call->is_creator = r >= 0;
        call_made(call, r, s);
}

/* It shall run: with its clients, as the next request of one of them would have it. */
static void call_wake(struct call *call, struct session *dormant)
{
        const struct server_config *server = config_find(call->waiter.peer->supervisor->config, call->asked.server);
        struct session *s = NULL;
        int r = dormant_wake(dormant, server, true, false, &s);

        call_made(call, r, s);
}

/* The same settings, or none asked for where nobody asked before. */
static bool settings_match(const struct call *call, const struct session *s)
{
        return s->record.is_put ? streq(s->record.body_digest, call->settings.digest)
                                : session_settings_is_empty(&call->settings);
}

static void put(struct call *call, struct session *s)
{
        const struct session_request request = {
                .principal = call->asked.principal,
                .key = call->asked.key,
                .kind = KEY_NAMED,
                .has_seed = call->settings.has_seed,
                .seed = call->settings.seed,
                .labels = call->settings.labels,
                .config = call->settings.config,
                .idle_usec = call->settings.idle_usec,
                .lifetime_usec = call->settings.lifetime_usec,
                .body_digest = call->settings.digest,
        };

        if (!s)
                call_create(call, &request);
        else if (session_state_is_ending(s->state) || s->state == SESSION_ADOPTING)
                wait_for(call, s, STAGE_AGAIN);
        else if (!settings_match(call, s))
                reply_reason(call, REASON_session_exists, NULL);
        else if (is_running(s))
                reply_described(call, 200, s);
        else if (s->state == SESSION_DORMANT)
                call_wake(call, s);
        else
                wait_for(call, s, STAGE_START);
}

static void get(struct call *call, struct session *s)
{
        const struct ipc_session_call *asked = &call->asked;
        struct session *ended = session_find_ended_key(call->waiter.peer->supervisor->sessions, asked->principal,
                                                       asked->server, KEY_NAMED, asked->key);

        if (s)
                reply_described(call, 200, s);
        else if (ended)
                reply_ended(call, 404, ended);
        else
                reply_reason(call, REASON_unknown_session, NULL);
}

/* Nobody has spoken to it yet: as fresh as a reset could make it. */
static bool is_fresh(const struct session *s)
{
        return !s->awaits_request &&
               (s->state == SESSION_QUEUED || s->state == SESSION_PREPARING || s->state == SESSION_STARTING);
}

/* First in line for what follows the end: a request for the key must not start a session of other settings. */
static void reset(struct call *call, struct session *s)
{
        if (!s) {
                get(call, NULL);
                return;
        }
        if (is_fresh(s)) {
                wait_for(call, s, STAGE_START);
                return;
        }
        wait_for(call, s, session_state_is_ending(s->state) ? STAGE_AGAIN : STAGE_END);
        if (call->stage == STAGE_END) {
                waiter_wait_first(&call->waiter, &s->waiters);
                lifecycle_stop(s, REASON_replaced, "it was reset", 0);
        }
}

static void reset_again(struct call *call, const struct session *s)
{
        const struct session_request request = lifecycle_request_like(s);

        call_create(call, &request);
}

static void delete(struct call *call, struct session *s)
{
        if (!s) {
                reply(call, 204, 0, NULL, 0);
                return;
        }
        wait_for(call, s, STAGE_END);
        lifecycle_stop(s, REASON_session_ended, "it was deleted", 0);
}

static void call_look(struct call *call)
{
        static void (*const operations[])(struct call *call, struct session *s) = {
                [SESSION_CALL_PUT] = put,
                [SESSION_CALL_GET] = get,
                [SESSION_CALL_RESET] = reset,
                [SESSION_CALL_DELETE] = delete,
        };
        const struct ipc_session_call *asked = &call->asked;

        operations[asked->op](call, session_find_key(call->waiter.peer->supervisor->sessions, asked->principal,
                                                     asked->server, KEY_NAMED, asked->key));
}

/* ---- waiting ---------------------------------------------------------------------------------- */

static void call_on_change(struct waiter *w, struct session *s)
{
        struct call *call = (struct call *) w;

        if (call->stage == STAGE_START && is_running(s))
                reply_described(call, call->is_creator && call->asked.op == SESSION_CALL_PUT ? 201 : 200, s);
        else if (call->stage == STAGE_AGAIN && session_state_is_open(s->state))
                call_look(call);
}

static void call_on_ended(struct waiter *w, struct session *s)
{
        struct call *call = (struct call *) w;

        /* Somebody else's DELETE came between: PUT still means that it shall exist. */
        bool is_crossed = call->stage == STAGE_START && call->asked.op == SESSION_CALL_PUT && !s->is_failed &&
                          !s->supervisor->is_stopping && !call->has_retried;

        call->has_retried |= is_crossed;
        if (call->stage == STAGE_AGAIN || is_crossed)
                call_look(call);
        else if (call->stage == STAGE_START)
                reply_ended(call, 0, s);
        else if (call->asked.op == SESSION_CALL_RESET)
                reset_again(call, s);
        else
                reply(call, 204, 0, NULL, 0);
}

static void call_on_deadline(struct waiter *w)
{
        reply_reason((struct call *) w, REASON_unavailable, "it takes too long");
}

static void call_free(struct waiter *w)
{
        struct call *call = (struct call *) w;

        session_settings_done(&call->settings);
        free(call);
}

/* ---- the handler ------------------------------------------------------------------------------ */

static int call_new(struct peer *peer, const struct ipc_message *m, struct call **ret)
{
        static const struct waiter_ops ops = {
                .on_change = call_on_change,
                .on_ended = call_on_ended,
                .on_deadline = call_on_deadline,
                .free = call_free,
        };
        struct call *call = calloc(1, sizeof(*call));

        if (!call)
                return -ENOMEM;
        call->asked = *(const struct ipc_session_call *) m->body;
        int r = waiter_init(&call->waiter, peer, m->cookie, routers_resolve_usec(peer->supervisor) - USEC_PER_SEC,
                            &ops);

        if (r < 0) {
                free(call);
                return r;
        }
        *ret = call;
        return 0;
}

/* Only PUT has settings; the others take an empty object at most. */
static int settings_read(struct call *call, const struct ipc_message *m, char **ret_why)
{
        int r = session_settings_parse(m->blob, m->blob_size, &call->settings, ret_why);

        if (r >= 0 && call->asked.op != SESSION_CALL_PUT && !session_settings_is_empty(&call->settings)) {
                *ret_why = strdup("this call takes no body");
                return -EINVAL;
        }
        return r;
}

int session_api_on_call(struct peer *peer, const struct ipc_message *m)
{
        const struct ipc_session_call *asked = m->body;
        _cleanup_free_ char *why = NULL;
        struct call *call;

        if (!IPC_STRING_OK(asked->server) || !IPC_STRING_OK(asked->principal) || !IPC_STRING_OK(asked->key) ||
            !asked->key[0] || asked->op < SESSION_CALL_PUT || asked->op > SESSION_CALL_DELETE)
                return -EBADMSG;
        int r = call_new(peer, m, &call);

        if (r < 0)
                return r;
        r = settings_read(call, m, &why);
        if (r == -EINVAL)
                reply_reason(call, REASON_bad_request, why);
        else if (r < 0)
                reply_reason(call, REASON_internal, NULL);
        else if (waiter_is_surplus(&call->waiter))
                reply_reason(call, REASON_overloaded, NULL);
        else if (!config_find(peer->supervisor->config, asked->server))
                reply_reason(call, REASON_unknown_path, NULL);
        else
                call_look(call);
        return 0;
}
