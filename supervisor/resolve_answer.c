#include "supervisor/resolve_internal.h"

#include "common/log.h"
#include "supervisor/dormant.h"
#include "supervisor/router_push.h"
#include "supervisor/supervisor.h"

#define RETRY_AFTER_SEC 2

void question_answer_ok(struct question *q, const struct session *s)
{
        struct ipc_resolved answer = { .code = RESOLVE_OK, .is_created = q->is_creator };

        router_push_fill(s, &answer.session);
        (void) IPC_SEND(q->waiter.peer->channel, IPC_RESOLVED, q->waiter.cookie, &answer);
        waiter_end(&q->waiter);
}

static void answer_json(struct question *q, enum resolve_code code, const char *failure, size_t size)
{
        struct ipc_resolved answer = { .code = code };

        (void) ipc_send(q->waiter.peer->channel, IPC_RESOLVED, q->waiter.cookie, &answer, sizeof(answer), failure,
                        size);
        waiter_end(&q->waiter);
}

static void answer_failure(struct question *q, enum resolve_code code, const struct failure *f)
{
        _cleanup_free_ char *json = NULL;
        size_t size = 0;

        (void) failure_to_json(f, &json, &size);
        answer_json(q, code, json, json ? size : 0);
}

void question_answer_reason(struct question *q, enum resolve_code code, enum reason reason)
{
        const struct failure f = {
                .reason = reason,
                .retry_after_sec = reason_http_status(reason) == 503 ? RETRY_AFTER_SEC : 0,
        };

        answer_failure(q, code, &f);
}

void question_answer_ended(struct question *q, enum resolve_code code, const struct session *s)
{
        _cleanup_free_ char *json = NULL;
        size_t size = 0;

        if (session_failure_json(s, &json, &size) < 0)
                question_answer_reason(q, code, REASON_internal);
        else
                answer_json(q, code, json, size);
}

void question_answer_unknown(struct question *q)
{
        const struct ipc_resolve *a = &q->asked;
        const struct session_table *table = q->waiter.peer->supervisor->sessions;
        const struct session *s = session_find(table, a->principal, a->server, (enum key_kind) a->kind, a->key);

        if (!s)
                s = session_find_ended_key(table, a->principal, a->server, (enum key_kind) a->kind, a->key);
        if (s)
                question_answer_ended(q, RESOLVE_UNKNOWN, s);
        else
                question_answer_reason(q, RESOLVE_UNKNOWN, REASON_unknown_session);
}

void question_answer_dormant(struct question *q, struct session *s)
{
        if (q->asked.wake == WAKE_LEAVE)
                dormant_drop_client(s, q->asked.transport);
        question_answer_reason(q, RESOLVE_DORMANT, REASON_session_ended);
}

void question_answer_not_made(struct question *q, int error)
{
        if (error == -EBUSY)
                q->waiter.peer->supervisor->counters.resolves_refused++;
        else if (error != -ESHUTDOWN)
                (void) log_errno(error, "cannot make a session of server %s", q->asked.server);
        question_answer_reason(q, RESOLVE_FAILED,
                      error == -EBUSY ? REASON_capacity : error == -ESHUTDOWN ? REASON_stopping : REASON_internal);
}
