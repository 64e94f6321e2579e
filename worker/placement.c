#include "worker/placement.h"

#include "worker/stream.h"

#define PLACED_ON(a_call) ((struct placement) { .where = PLACE_CALL, .call = (a_call), .client = (a_call)->client })
#define PLACED_WITH(a_client) ((struct placement) { .where = PLACE_CLIENT, .client = (a_client) })
#define NOWHERE ((struct placement) { .where = PLACE_NOWHERE })

struct view {
        const struct calls *calls;
        const struct clients *clients;
        const struct asked_list *asked;
};

struct call *placement_newest_call(const struct calls *calls, const struct client *client, bool for_request)
{
        struct call *newest = NULL, *initialize = NULL;

        for (struct call *call = calls_next(calls, NULL); call; call = calls_next(calls, call)) {
                if (!call->stream || call->is_modern || (client && call->client != client))
                        continue; /* is_modern: server/discover, of a client of neither era yet */
                if (call->is_initialize)
                        initialize = call;
                else
                        newest = call;
        }
        return newest || !for_request ? newest : initialize;
}

/* One who listens just now before one whose stream waits for its client to come back. */
static struct client *newest_listener(const struct clients *clients)
{
        struct client *connected = NULL, *away = NULL;

        for (struct client *client = clients_next(clients, NULL); client; client = clients_next(clients, client))
                if (client->get_stream && client->get_stream->carrier)
                        connected = client;
                else if (client->get_stream)
                        away = client;
        return connected ?: away;
}

static struct placement place_anything(const struct jsonrpc_message *message, const struct view *view)
{
        struct call *call = placement_newest_call(view->calls, NULL, message->kind == JSONRPC_REQUEST);

        if (call)
                return PLACED_ON(call);
        struct client *listener = newest_listener(view->clients);

        return PLACED_WITH(listener ? listener : clients_newest(view->clients));
}

static struct placement place_progress(const struct jsonrpc_message *message, const struct view *view)
{
        struct json_slice token;

        if (json_get(message->params, "progressToken", &token) < 0)
                return NOWHERE;
        struct call *call = calls_by_wire_progress(view->calls, token);

        return call && call->stream ? PLACED_ON(call) : NOWHERE;
}

static struct placement place_cancelled(const struct jsonrpc_message *message, const struct view *view)
{
        const struct client *client;
        struct json_slice id;
        uint64_t serial;

        if (json_get(message->params, "requestId", &id) < 0 || !asked_find(view->asked, id, &serial, &client))
                return NOWHERE;
        struct call *call = serial > 0 ? calls_by_serial(view->calls, serial) : NULL;

        if (call && call->stream)
                return PLACED_ON(call);
        for (struct client *at = clients_next(view->clients, NULL); at; at = clients_next(view->clients, at))
                if (at == client)
                        return PLACED_WITH(at);
        return NOWHERE;
}

static struct placement place_news(_unused_ const struct jsonrpc_message *message, _unused_ const struct view *view)
{
        return (struct placement) { .where = PLACE_ALL };
}

static const struct {
        const char *method;
        struct placement (*place)(const struct jsonrpc_message *message, const struct view *view);
} notifications[] = {
        { "notifications/progress", place_progress },
        { "notifications/cancelled", place_cancelled },
        { "notifications/tools/list_changed", place_news },
        { "notifications/prompts/list_changed", place_news },
        { "notifications/resources/list_changed", place_news },
        { "notifications/resources/updated", place_news },
};

static struct placement place_response(const struct jsonrpc_message *message, const struct view *view)
{
        struct call *call = calls_by_wire_id(view->calls, message->id);

        return call ? PLACED_ON(call) : NOWHERE;
}

struct placement placement_of(const struct jsonrpc_message *message, const struct calls *calls,
                              const struct clients *clients, const struct asked_list *asked)
{
        struct view view = { .calls = calls, .clients = clients, .asked = asked };

        if (message->kind == JSONRPC_RESPONSE)
                return place_response(message, &view);
        for (size_t i = 0; message->kind == JSONRPC_NOTIFICATION && i < ELEMENTSOF(notifications); i++)
                if (jsonrpc_method_is(message, notifications[i].method))
                        return notifications[i].place(message, &view);
        return place_anything(message, &view);
}
