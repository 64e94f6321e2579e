#include "worker/modern_placement.h"

#include "common/mcp.h"
#include "worker/listen.h"
#include "worker/modern_check.h"

#define NOWHERE ((struct placement) { .where = PLACE_NOWHERE })

static struct placement placed_on(struct call *call)
{
        return call && call->stream ? (struct placement) { .where = PLACE_CALL, .call = call } : NOWHERE;
}

/* level: what the call must take of log messages at least; -1: it need not. */
static struct call *newest_call(const struct calls *calls, int level)
{
        struct call *newest = NULL;

        for (struct call *call = calls_next(calls, NULL); call; call = calls_next(calls, call))
                if (call->stream && !call->listen && (level < 0 || (call->log_level >= 0 && call->log_level <= level)))
                        newest = call;
        return newest;
}

static struct placement place_progress(const struct jsonrpc_message *message, const struct calls *calls)
{
        struct json_slice token;

        if (message->params.size == 0 || json_get(message->params, "progressToken", &token) < 0)
                return NOWHERE;
        return placed_on(calls_by_wire_progress(calls, token));
}

static struct placement place_cancelled(const struct jsonrpc_message *message, const struct calls *calls)
{
        struct json_slice id;
        struct call *call;

        if (message->params.size == 0 || json_get(message->params, "requestId", &id) < 0)
                return NOWHERE;
        call = calls_by_wire_id(calls, id);
        return call && call->listen ? placed_on(call) : NOWHERE;
}

static struct placement place_log(const struct jsonrpc_message *message, const struct calls *calls)
{
        struct json_slice level;
        int rank = -ENOENT;

        if (message->params.size > 0 && json_get(message->params, "level", &level) >= 0)
                rank = modern_log_level(level);
        return rank < 0 ? NOWHERE : placed_on(newest_call(calls, rank));
}

static const struct {
        const char *method;
        struct placement (*place)(const struct jsonrpc_message *message, const struct calls *calls);
} notifications[] = {
        { "notifications/progress", place_progress },
        { "notifications/cancelled", place_cancelled },
        { "notifications/message", place_log },
};

struct placement modern_placement_of(const struct jsonrpc_message *message, const struct calls *calls)
{
        struct json_slice subscription;

        if (message->kind == JSONRPC_RESPONSE)
                return placed_on(calls_by_wire_id(calls, message->id));
        if (message->params.size > 0 &&
            json_get_path(message->params, &subscription, "_meta", MCP_META_PREFIX "subscriptionId", NULL) >= 0)
                return placed_on(calls_by_wire_id(calls, subscription));
        if (listen_is_news(message))
                return (struct placement) { .where = PLACE_ALL };
        for (size_t i = 0; i < ELEMENTSOF(notifications); i++)
                if (jsonrpc_method_is(message, notifications[i].method))
                        return notifications[i].place(message, calls);
        return placed_on(newest_call(calls, -1));
}
