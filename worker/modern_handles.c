#include "worker/modern.h"

#include "worker/handles.h"
#include "worker/idle.h"
#include "worker/life.h"

/* A session of a single request: nobody else can name it. */
static bool is_single(const struct stdio *stdio)
{
        return stdio->worker->spec->kind == KEY_REQUEST;
}

static bool somebody_waits(const struct stdio *stdio)
{
        if (idle_in_flight(stdio->worker->idle) > 0)
                return true;
        for (const struct call *call = calls_next(stdio->calls, NULL); call; call = calls_next(stdio->calls, call))
                if (call->stream) /* a listener, which is not in flight */
                        return true;
        return false;
}

static void on_settle(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct stdio *stdio = userdata;

        if (!somebody_waits(stdio) && handles_count(stdio->worker->handles) == 0)
                life_end(stdio->worker->life, GONE_DELETED, REASON_session_ended, "its request was answered");
}

int modern_handles_init(struct stdio *stdio)
{
        if (!is_single(stdio))
                return 0;
        stdio->modern.settle = evtimer_new(stdio->worker->base, on_settle, stdio);
        return stdio->modern.settle ? 0 : -ENOMEM;
}

void modern_handles_done(struct stdio *stdio)
{
        if (stdio->modern.settle)
                event_free(stdio->modern.settle);
}

void modern_handles_settle(struct stdio *stdio)
{
        if (stdio->modern.settle && !stdio->failure)
                event_active(stdio->modern.settle, EV_TIMEOUT, 0);
}

void modern_handles_request(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message)
{
        char key[IPC_KEY_SIZE];

        if (is_single(stdio) && handles_of_request(message, key))
                call->handle = strdup(key);
}

void modern_handles_answer(struct stdio *stdio, const struct call *call, const struct jsonrpc_message *message)
{
        struct handles *handles = stdio->worker->handles;

        if (!is_single(stdio) || message->result.size == 0)
                return;
        if (call->handle) /* that round is over */
                handles_remove(handles, call->handle);
        handles_take(handles, message);
}
