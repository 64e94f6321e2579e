#include "worker/modern.h"

#include "worker/exchange.h"
#include "worker/life.h"
#include "worker/listen.h"

#define LISTENERS_MAX 256u /* half of the connections that the door takes in */

/* ---- how a request ends otherwise than by its answer ---- */

static struct call *call_of(const struct stdio *stdio, const struct stream *stream)
{
        struct call *call = calls_next(stdio->calls, NULL);

        while (call && call->stream != stream)
                call = calls_next(stdio->calls, call);
        return call;
}

/* Closing the stream is how a client cancels; nothing more is said for that request (Streamable HTTP,
 * "Cancellation"). */
static void on_stream_lost(struct stream *stream, void *userdata)
{
        struct stdio *stdio = userdata;
        struct call *call = call_of(stdio, stream);

        if (!call)
                return modern_tools_forget_stream(stdio, stream);
        call->stream = NULL;
        forward_cancelled(stdio, call, "the client closed the response stream");
        stdio_call_remove(stdio, call);
}

static void on_stream_full(struct stream *stream, void *userdata)
{
        const struct failure failure = { .reason = REASON_overloaded, .detail = "its client did not read what came of it" };

        stdio_stream_fail(userdata, stream, &failure);
}

static const struct stream_ops stream_ops = { .on_lost = on_stream_lost, .on_full = on_stream_full };

static struct failure failure_of(const struct modern_fault *fault)
{
        return (struct failure) {
                .reason = fault->reason,
                .detail = fault->detail[0] ? fault->detail : NULL,
                .requested = fault->requested[0] ? fault->requested : NULL,
        };
}

static void refuse(struct exchange *exchange, const struct modern_fault *fault, struct json_slice id)
{
        struct failure failure = failure_of(fault);

        exchange_fail(exchange, &failure, id.data, id.size);
}

void modern_stream_refuse(struct stream *stream, const struct modern_fault *fault, struct json_slice id)
{
        struct failure failure = failure_of(fault);

        stream_fail(stream, &failure, id);
}

/* ---- requests ---- */

/* The backend has not said anything yet, and this request may take longer than a start: asked what it is, it
 * answers at once. */
static void knock(struct stdio *stdio)
{
        static const char text[] = "{\"jsonrpc\":\"2.0\",\"id\":\"envmux\",\"method\":\"server/discover\","
                                   "\"params\":{\"_meta\":" MODERN_OWN_META "}}";
        struct jsonrpc_message message;
        struct call *call;
        enum reason reason;

        if (jsonrpc_parse(text, sizeof(text) - 1, &message) >= 0 &&
            forward_modern(stdio, NULL, &message, forward_deadline(stdio, 0), &call, &reason) >= 0)
                call->is_own = true;
}

/* Listeners stay, calls come and go: there is always room for those. */
static int make_listen(const struct stdio *stdio, const struct jsonrpc_message *message, struct listen **ret,
                       enum reason *ret_reason)
{
        unsigned n = 0;
        int r = -ENOBUFS;

        for (const struct call *call = calls_next(stdio->calls, NULL); call; call = calls_next(stdio->calls, call))
                n += call->listen != NULL;
        if (n < LISTENERS_MAX)
                r = listen_new(message, ret);
        if (r < 0)
                *ret_reason = r == -ENOBUFS ? REASON_overloaded : r == -E2BIG ? REASON_bad_request : REASON_internal;
        return r;
}

static int forward(struct stdio *stdio, struct stream *stream, const struct jsonrpc_message *message,
                   enum reason *ret_reason)
{
        bool is_listen = jsonrpc_method_is(message, "subscriptions/listen");
        usec_t deadline = is_listen ? USEC_INFINITY : forward_deadline(stdio, stdio->worker->spec->request_usec);
        struct listen *listen = NULL;
        struct mcp_envelope envelope;
        struct call *call;
        int r = is_listen ? make_listen(stdio, message, &listen, ret_reason) : 0;

        if (r < 0)
                return r;
        r = forward_modern(stdio, stream, message, deadline, &call, ret_reason);
        if (r < 0) {
                listen_free(listen);
                return r;
        }
        mcp_envelope_read(message, &envelope);
        call->listen = listen;
        call->log_level = modern_log_level(envelope.log_level);
        modern_handles_request(stdio, call, message);
        if (is_listen)
                exchange_uncount(carrier_exchange(stream->carrier));
        return 0;
}

void modern_forward(struct stdio *stdio, struct stream *stream, const struct jsonrpc_message *message)
{
        struct failure failure = { 0 };

        if (forward(stdio, stream, message, &failure.reason) < 0)
                stream_fail(stream, &failure, message->id);
}

static void take_request(struct stdio *stdio, struct exchange *exchange, const struct jsonrpc_message *message)
{
        struct stream *stream;

        if (stream_new(exchange, STREAM_SINGLE, stdio->stream_bytes_max, &stream_ops, stdio, &stream) < 0)
                return exchange_refuse(exchange, REASON_internal, NULL, message->id.data, message->id.size);
        exchange->endpoint_data = stream;
        stream->n_calls = 1;
        if (stdio->era == ERA_UNKNOWN && life_is_starting(stdio->worker->life) && calls_count(stdio->calls) == 0 &&
            !jsonrpc_method_is(message, "server/discover"))
                knock(stdio);
        if (jsonrpc_method_is(message, "tools/call"))
                modern_tools_call(stdio, stream, message);
        else
                modern_forward(stdio, stream, message);
}

/* Closing the stream is what cancels; an id that a client names could be any client's. */
static void take_notification(struct stdio *stdio, struct exchange *exchange, const struct jsonrpc_message *message)
{
        if (stdio->era == ERA_MODERN && !jsonrpc_method_is(message, "notifications/cancelled"))
                forward_text(stdio, message->whole.data, message->whole.size);
        exchange_respond(exchange, 202, NULL, NULL, NULL, 0);
}

void modern_take(struct stdio *stdio, struct exchange *exchange, const struct jsonrpc_message *message)
{
        struct json_slice id = message->kind == JSONRPC_REQUEST ? message->id : (struct json_slice) { 0 };
        struct mcp_envelope envelope;
        struct modern_fault fault;

        if (stdio->era == ERA_LEGACY)
                return exchange_refuse(exchange, REASON_legacy_only, NULL, id.data, id.size);
        mcp_envelope_read(message, &envelope);
        if (modern_check(exchange->head, message, &envelope, &fault) < 0)
                return refuse(exchange, &fault, id);
        if (message->kind == JSONRPC_NOTIFICATION)
                return take_notification(stdio, exchange, message);
        take_request(stdio, exchange, message);
}

/* ---- the other era ---- */

void modern_refuse_legacy(struct exchange *exchange, const struct jsonrpc_message *message)
{
        struct modern_fault fault = { .reason = REASON_modern_only };
        struct json_slice id = message->kind == JSONRPC_REQUEST ? message->id : (struct json_slice) { 0 };
        struct json_slice version;

        if (message->kind == JSONRPC_NOTIFICATION) /* nothing that it could be about */
                return exchange_respond(exchange, 202, NULL, NULL, NULL, 0);
        if (message->kind != JSONRPC_REQUEST)
                return exchange_refuse(exchange, REASON_bad_request, "this revision has requests and notifications only",
                                       NULL, 0);
        if (message->params.size == 0 || json_get(message->params, "protocolVersion", &version) < 0 ||
            json_string_copy(version, fault.requested, sizeof(fault.requested)) < 0)
                fault.requested[0] = '\0';
        refuse(exchange, &fault, id);
}
