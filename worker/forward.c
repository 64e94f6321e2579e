#include "worker/stdio_endpoint.h"

#include "worker/idle.h"
#include "worker/life.h"

#include <stdio.h>

size_t forward_pending_bytes(const struct stdio *stdio)
{
        return stdio->body_bytes + stdio->handshake.waiting.bytes +
               (stdio->pipe ? stdio_pipe_queued_bytes(stdio->pipe) : 0);
}

static int backend_write(struct stdio *stdio, const char *text, size_t size)
{
        return stdio->pipe ? stdio_pipe_write(stdio->pipe, text, size) : -EPIPE;
}

/* Writes whole with one token exchanged. */
static int write_replaced(struct stdio *stdio, struct json_slice whole, struct json_slice old, const struct token *by)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = jsonrpc_replace(whole, old, by->data, by->size, &text, &size);

        return r < 0 ? r : backend_write(stdio, text, size);
}

static struct json_slice progress_token(const struct jsonrpc_message *message)
{
        struct json_slice token;

        if (json_get_path(message->params, &token, "_meta", "progressToken", NULL) < 0)
                return (struct json_slice) { 0 };
        return token;
}

/* The request under its names on the wire: its own bytes, unless another client could use the same ones. */
static int request_write(struct stdio *stdio, const struct jsonrpc_message *message, const struct call *call)
{
        bool id_is_own = token_equal(&call->id, &call->wire_id);
        bool progress_is_own = token_equal(&call->progress, &call->wire_progress);
        _cleanup_free_ char *text = NULL;
        struct jsonrpc_message changed;
        size_t size;

        if (id_is_own && progress_is_own)
                return backend_write(stdio, message->whole.data, message->whole.size);
        if (progress_is_own)
                return write_replaced(stdio, message->whole, message->id, &call->wire_id);
        int r = jsonrpc_replace(message->whole, progress_token(message), call->wire_progress.data,
                                call->wire_progress.size, &text, &size);

        if (r >= 0)
                r = jsonrpc_parse(text, size, &changed);
        return r < 0 ? r : write_replaced(stdio, changed.whole, changed.id, &call->wire_id);
}

static int request_send(struct stdio *stdio, const struct jsonrpc_message *message, bool verbatim, usec_t deadline_usec,
                        struct call **ret, enum reason *ret_reason)
{
        struct call *call;
        int r = calls_add(stdio->calls, message->id, progress_token(message), verbatim, deadline_usec, &call);

        if (r < 0) {
                *ret_reason = r == -ENOBUFS ? REASON_overloaded : r == -E2BIG ? REASON_bad_request : REASON_internal;
                return r;
        }
        r = request_write(stdio, message, call);
        if (r < 0) {
                calls_remove(stdio->calls, call);
                *ret_reason = r == -EPIPE ? REASON_backend_exited : REASON_internal;
                return r;
        }
        *ret = call;
        return 0;
}

usec_t forward_deadline(const struct stdio *stdio, usec_t usec)
{
        const struct worker *worker = stdio->worker;

        return usec_add(now_usec(), usec_add(usec, life_is_starting(worker->life) ? worker->spec->start_usec : 0));
}

int forward_request(struct stdio *stdio, struct client *client, struct stream *stream,
                    const struct jsonrpc_message *message, struct call **ret, enum reason *ret_reason)
{
        if (client && calls_by_client_id(stdio->calls, client, message->id, true)) {
                *ret_reason = REASON_duplicate_id;
                return -EEXIST;
        }
        bool verbatim = client && !stdio->is_shared;
        usec_t deadline = usec_add(now_usec(), life_request_usec(stdio->worker->life));
        int r = request_send(stdio, message, verbatim, deadline, ret, ret_reason);

        if (r < 0)
                return r;
        stdio->era = ERA_LEGACY;
        (*ret)->client = client;
        (*ret)->stream = stream;
        /* The exchange that brought it is over, and its stream holds nothing. */
        if (stream && (stream->kind == STREAM_SSE || !stream_is_connected(stream))) {
                (*ret)->is_held = true;
                idle_hold(stdio->worker->idle);
        }
        return 0;
}

int forward_modern(struct stdio *stdio, struct stream *stream, const struct jsonrpc_message *message,
                   usec_t deadline_usec, struct call **ret, enum reason *ret_reason)
{
        int r = request_send(stdio, message, false, deadline_usec, ret, ret_reason);

        if (r < 0)
                return r;
        if (!jsonrpc_method_is(message, "server/discover"))
                stdio->era = ERA_MODERN;
        (*ret)->is_modern = true;
        (*ret)->stream = stream;
        return 0;
}

/* The client gave a request up. Its own name for it may be another client's on the wire. */
static void cancelled_by_client(struct stdio *stdio, struct client *client, const struct jsonrpc_message *message)
{
        struct json_slice id;

        if (!client || json_get(message->params, "requestId", &id) < 0)
                return; /* an id alone does not say whose it is */
        struct call *call = calls_by_client_id(stdio->calls, client, id, false);

        if (!call || call->is_initialize)
                return;
        (void) write_replaced(stdio, message->whole, id, &call->wire_id);
        /* The backend need not answer it any more (MCP, "Cancellation"), and the client does not listen. */
        if (call->stream)
                stream_forgo(call->stream);
        stdio_call_remove(stdio, call);
}

void forward_notification(struct stdio *stdio, struct client *client, const struct jsonrpc_message *message)
{
        if (jsonrpc_method_is(message, "notifications/cancelled"))
                cancelled_by_client(stdio, client, message);
        else if (!handshake_swallows(&stdio->handshake, message))
                (void) backend_write(stdio, message->whole.data, message->whole.size);
}

void forward_text(struct stdio *stdio, const char *text, size_t size)
{
        (void) backend_write(stdio, text, size);
}

void forward_response(struct stdio *stdio, const struct jsonrpc_message *message)
{
        asked_remove(stdio->asked, message->id);
        (void) backend_write(stdio, message->whole.data, message->whole.size);
}

/* One request. True while its stream is there. */
static bool request_pass(struct stdio *stdio, struct client *client, struct stream *stream,
                         const struct jsonrpc_message *message)
{
        struct call *call;
        enum reason reason;

        if (forward_request(stdio, client, stream, message, &call, &reason) >= 0)
                return true;
        struct failure failure = { .reason = reason };
        bool is_last = stream->n_calls == 1;

        stream_fail(stream, &failure, message->id);
        return !is_last;
}

static bool single_pass(struct stdio *stdio, struct client *client, struct stream *stream,
                        const struct jsonrpc_message *message)
{
        if (message->kind == JSONRPC_REQUEST)
                return request_pass(stdio, client, stream, message);
        if (message->kind == JSONRPC_RESPONSE)
                forward_response(stdio, message);
        else
                forward_notification(stdio, client, message);
        return true;
}

void forward_message(struct stdio *stdio, struct client *client, struct stream *stream,
                     const struct jsonrpc_message *message)
{
        struct json_slice element;
        bool is_there = true;

        if (message->kind != JSONRPC_BATCH)
                is_there = single_pass(stdio, client, stream, message);
        for (size_t cursor = 0;
             message->kind == JSONRPC_BATCH && is_there && json_next(message->whole, &cursor, NULL, &element) > 0;) {
                struct jsonrpc_message one;

                if (jsonrpc_parse_value(element, &one) >= 0)
                        is_there = single_pass(stdio, client, stream, &one);
        }
        if (message->kind == JSONRPC_REQUEST && is_there && client)
                deliver_backlog(client, stream);
}

void forward_refuse(struct stream *stream, const struct jsonrpc_message *message, const struct failure *failure)
{
        struct json_slice element;

        if (message->kind == JSONRPC_REQUEST)
                return stream_fail(stream, failure, message->id);
        for (size_t cursor = 0; json_next(message->whole, &cursor, NULL, &element) > 0;) {
                struct jsonrpc_message one;
                bool is_last = stream->n_calls == 1;

                if (jsonrpc_parse_value(element, &one) < 0 || one.kind != JSONRPC_REQUEST)
                        continue;
                stream_fail(stream, failure, one.id);
                if (is_last)
                        return;
        }
}

void forward_cancelled(struct stdio *stdio, const struct call *call, const char *why)
{
        _cleanup_free_ char *text = NULL;

        if (call->is_initialize)
                return;
        int n = asprintf(&text, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
                         "\"params\":{\"requestId\":%.*s,\"reason\":\"%s\"}}",
                         (int) call->wire_id.size, call->wire_id.data, why);

        if (n < 0)
                text = NULL;
        else
                (void) backend_write(stdio, text, (size_t) n);
}
