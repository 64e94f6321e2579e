#include "worker/stdio_endpoint.h"

#include "common/log.h"
#include "worker/door.h"
#include "worker/life.h"
#include "worker/log_ring.h"
#include "worker/modern.h"

/* One response under the client's own id. */
static void deliver_response(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message)
{
        life_ready(stdio->worker->life);
        if (call->is_modern)
                return modern_respond(stdio, call, message);
        if (call->is_initialize)
                return handshake_response(stdio, call, message);
        if (call->stream && token_equal(&call->id, &call->wire_id)) {
                stream_respond(call->stream, message->whole.data, message->whole.size);
        } else if (call->stream) {
                _cleanup_free_ char *text = NULL;
                size_t size;

                if (jsonrpc_replace(message->whole, message->id, call->id.data, call->id.size, &text, &size) >= 0)
                        stream_respond(call->stream, text, size);
        }
        stdio_call_remove(stdio, call);
}

/* Progress under the client's own token, anything else as it is. */
static bool deliver_on_call(const struct call *call, const struct jsonrpc_message *message)
{
        _cleanup_free_ char *text = NULL;
        struct json_slice token;
        size_t size;

        if (call->progress.size == 0 || token_equal(&call->progress, &call->wire_progress) ||
            !jsonrpc_method_is(message, "notifications/progress") ||
            json_get(message->params, "progressToken", &token) < 0)
                return stream_message(call->stream, message->whole.data, message->whole.size);
        if (jsonrpc_replace(message->whole, token, call->progress.data, call->progress.size, &text, &size) < 0)
                return false;
        return stream_message(call->stream, text, size);
}

/* All backlogs together stay within the session's budget, however many clients there are. */
static bool backlogs_have_room(const struct stdio *stdio, size_t size)
{
        const struct clients *clients = stdio->worker->clients;
        size_t bytes = stdio->unattached.bytes;

        for (const struct client *client = clients_next(clients, NULL); client; client = clients_next(clients, client))
                bytes += client->backlog.bytes;
        return bytes + size <= stdio->half_bytes_max;
}

static void backlog_put(struct stdio *stdio, struct client *client, const struct jsonrpc_message *message)
{
        struct backlog *backlog = client ? &client->backlog : &stdio->unattached;
        unsigned dropped = backlogs_have_room(stdio, message->whole.size)
                ? backlog_add(backlog, message->whole.data, message->whole.size) : 1;

        if (dropped > 0)
                log_ring_addf(stdio->worker->logs, LOG_STDOUT, "[%u messages without a stream were dropped]", dropped);
}

static void deliver_to_client(struct stdio *stdio, struct client *client, const struct jsonrpc_message *message)
{
        if (client && client->get_stream &&
            stream_message(client->get_stream, message->whole.data, message->whole.size))
                return;
        backlog_put(stdio, client, message);
}

static void deliver_to_all(struct stdio *stdio, const struct jsonrpc_message *message)
{
        const struct clients *clients = stdio->worker->clients;

        if (clients_count(clients) == 0)
                return backlog_put(stdio, NULL, message);
        for (struct client *client = clients_next(clients, NULL); client; client = clients_next(clients, client)) {
                struct call *call = client->get_stream ? NULL : placement_newest_call(stdio->calls, client, false);

                if (!call || !stream_message(call->stream, message->whole.data, message->whole.size))
                        deliver_to_client(stdio, client, message);
        }
}

static void deliver(struct stdio *stdio, const struct jsonrpc_message *message)
{
        if (stdio->era == ERA_MODERN && message->kind != JSONRPC_RESPONSE)
                return modern_deliver(stdio, message);
        struct placement place = placement_of(message, stdio->calls, stdio->worker->clients, stdio->asked);
        uint64_t serial = place.where == PLACE_CALL ? place.call->serial : 0;

        if (place.where != PLACE_NOWHERE && message->kind == JSONRPC_RESPONSE)
                return deliver_response(stdio, place.call, message);
        if (message->kind == JSONRPC_REQUEST)
                asked_add(stdio->asked, message->id, serial, place.client);
        switch (place.where) {
        case PLACE_CALL:
                if (!deliver_on_call(place.call, message))
                        deliver_to_client(stdio, place.client && place.client->is_attached ? place.client : NULL, message);
                break;
        case PLACE_CLIENT:
                deliver_to_client(stdio, place.client, message);
                break;
        case PLACE_ALL:
                deliver_to_all(stdio, message);
                break;
        case PLACE_NOWHERE:
                log_debug("session %s: a message that nobody waits for", stdio->worker->spec->id);
                break;
        }
}

/* Backends of 2025-03-26 may answer in batches: each element goes its own way. */
static void deliver_batch(struct stdio *stdio, const struct jsonrpc_message *batch)
{
        struct json_slice element;

        for (size_t cursor = 0; json_next(batch->whole, &cursor, NULL, &element) > 0;) {
                struct jsonrpc_message message;

                if (jsonrpc_parse_value(element, &message) >= 0)
                        deliver(stdio, &message);
        }
}

void deliver_line(struct stdio *stdio, char *line, size_t size)
{
        struct jsonrpc_message message;

        if (stdio->failure)
                return;
        if (jsonrpc_parse(line, size, &message) < 0) {
                log_ring_add(stdio->worker->logs, LOG_STDOUT, line, size);
                return;
        }
        if (memchr(line, '\r', size))
                json_blank_newlines(line, size); /* a CR would end the line of an event stream */
        if (message.kind == JSONRPC_BATCH)
                deliver_batch(stdio, &message);
        else
                deliver(stdio, &message);
        deliver_throttle(stdio);
}

void deliver_throttle(struct stdio *stdio)
{
        if (stdio && stdio->pipe)
                stdio_pipe_pause(stdio->pipe, door_stalled_bytes(stdio->worker->door) > stdio->half_bytes_max);
}

void deliver_backlog(struct client *client, struct stream *stream)
{
        _cleanup_free_ char *text = NULL;
        size_t size;

        while (backlog_take(&client->backlog, &text, &size)) {
                bool is_there = stream_message(stream, text, size);

                free(TAKE_PTR(text));
                if (!is_there)
                        break;
        }
}
