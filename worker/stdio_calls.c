#include "worker/stdio_endpoint.h"

#include "worker/exchange.h"
#include "worker/idle.h"
#include "worker/link.h"
#include "worker/modern.h"

static void on_alias_end(enum key_kind kind, const char *key, void *userdata)
{
        link_alias(userdata, kind, key, true);
}

void stdio_call_remove(struct stdio *stdio, struct call *call)
{
        bool is_held = call->is_held, is_listing = call == stdio->modern.listing, is_listen = call->listen;

        calls_remove(stdio->calls, call);
        if (is_held)
                idle_release(stdio->worker->idle);
        if (is_listing)
                modern_tools_lost(stdio);
        if (is_listen)
                modern_handles_settle(stdio);
}

/* A listener hears of a fault, but not of an end that was meant. */
static bool is_our_will(enum reason reason)
{
        return reason == REASON_stopping || !reason_is_infra(reason);
}

/* True when it was the backend's initialize. */
static bool call_fail(struct stdio *stdio, struct call *call, const struct failure *failure, bool is_told)
{
        bool gave_up = call->is_initialize;

        if (is_told)
                forward_cancelled(stdio, call, reason_text(failure->reason));
        if (gave_up)
                handshake_given_up(stdio, call);
        if (call->stream && call->listen && is_our_will(failure->reason))
                modern_listen_end(call);
        else if (call->stream)
                stream_fail(call->stream, failure, token_slice(&call->id));
        stdio_call_remove(stdio, call);
        return gave_up;
}

/* The only call that can have been meant; NULL: several can. */
static struct call *sole_call(const struct stdio *stdio)
{
        struct call *sole = NULL;

        for (struct call *call = calls_next(stdio->calls, NULL); call; call = calls_next(stdio->calls, call)) {
                if (call->listen) /* it has no answer but at its end */
                        continue;
                if (sole)
                        return NULL;
                sole = call;
        }
        return sole;
}

void stdio_call_fail_lost(struct stdio *stdio, const struct id_scan *scan, const struct failure *failure)
{
        struct json_slice id;
        struct call *call = id_scan_response(scan, &id) ? calls_by_wire_id(stdio->calls, id) : sole_call(stdio);

        if (call && call_fail(stdio, call, failure, false))
                handshake_try_next(stdio);
}

void stdio_calls_fail(struct stdio *stdio, const struct client *client, const struct failure *failure, bool is_told)
{
        bool gave_up = false;

        for (struct call *call = calls_next(stdio->calls, NULL), *next; call; call = next) {
                next = calls_next(stdio->calls, call);
                if (!client || call->client == client)
                        gave_up |= call_fail(stdio, call, failure, is_told);
        }
        if (gave_up)
                handshake_try_next(stdio);
}

void stdio_stream_fail(struct stdio *stdio, const struct stream *stream, const struct failure *failure)
{
        bool gave_up = false;

        for (struct call *call = calls_next(stdio->calls, NULL), *next; call; call = next) {
                next = calls_next(stdio->calls, call);
                if (call->stream == stream)
                        gave_up |= call_fail(stdio, call, failure, true);
        }
        if (gave_up)
                handshake_try_next(stdio);
}

/* What still waits for the backend's handshake is its client's no more. */
static void waiting_fail(struct stdio *stdio, const struct client *client, const struct failure *failure)
{
        struct waiting *next;

        while ((next = waiting_take_of(&stdio->handshake.waiting, client))) {
                _cleanup_(waiting_freep) struct waiting *waiting = next;
                struct jsonrpc_message message;

                if (waiting->stream && jsonrpc_parse(waiting->text, waiting->size, &message) >= 0)
                        forward_refuse(waiting->stream, &message, failure);
        }
}

void stdio_client_leave(struct stdio *stdio, struct client *client, const struct failure *failure)
{
        struct worker *worker = stdio->worker;

        stdio_calls_fail(stdio, client, failure, true);
        waiting_fail(stdio, client, failure);
        sse_client_left(stdio, client);
        if (client->get_stream)
                stream_end(TAKE_PTR(client->get_stream));
        stdio_streams_forget(stdio, client);
        asked_forget_client(stdio->asked, client);
        clients_alias_of(worker->clients, client, true, on_alias_end, worker->link);
        clients_detach(worker->clients, client);
        client_free(client);
        link_status_changed(worker->link);
}

int stdio_client_of(const struct stdio *stdio, const struct exchange *exchange, struct client **ret,
                    enum reason *ret_reason)
{
        struct clients *clients = stdio->worker->clients;
        bool is_named = exchange->transport_id[0] && !exchange->is_minted;
        struct client *client = is_named ? clients_find(clients, exchange->transport_id) : clients_sole(clients);

        if (!client) {
                *ret_reason = is_named ? REASON_unknown_session : REASON_session_required;
                return -ENOENT;
        }
        clients_touch(stdio->worker->clients, client);
        *ret = client;
        return 0;
}

/* Revisions whose messages this endpoint carries. */
static const char *const versions[] = { "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25" };

bool stdio_version_is_fine(const struct stdio *stdio, const struct exchange *exchange)
{
        struct http_slice value;
        int r = http_head_get(exchange->head, "MCP-Protocol-Version", &value);

        if (r == -ENOENT)
                return true;
        if (r < 0)
                return false;
        if (stdio->handshake.version[0] && http_slice_is(value, stdio->handshake.version))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(versions); i++)
                if (http_slice_is(value, versions[i]))
                        return true;
        return false;
}

void stdio_on_deadline(struct call *call, void *userdata)
{
        struct stdio *stdio = userdata;
        struct failure failure = { .reason = REASON_deadline };
        bool is_initialize = call->is_initialize;

        if (is_initialize)
                handshake_given_up(stdio, call);
        else
                forward_cancelled(stdio, call, reason_text(REASON_deadline));
        if (call->stream)
                stream_fail(call->stream, &failure, token_slice(&call->id));
        stdio_call_remove(stdio, call);
        if (is_initialize)
                handshake_try_next(stdio);
}
