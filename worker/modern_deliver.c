#include "worker/modern.h"

#include "worker/life.h"
#include "worker/listen.h"
#include "worker/log_ring.h"
#include "worker/modern_placement.h"

#include <stdio.h>

#define SUBSCRIPTION MCP_META_PREFIX "subscriptionId"
#define EDITS_MAX 2u

/* ---- responses ---- */

/* The errors that have an HTTP status of their own; any other is the answer of a handler. */
static const struct {
        int64_t code;
        unsigned status;
} statuses[] = {
        { -32601, 404 }, /* no such method */
        { -32020, 400 }, /* HeaderMismatch */
        { -32021, 400 }, /* MissingRequiredClientCapability */
        { -32022, 400 }, /* UnsupportedProtocolVersion */
};

static unsigned status_of(const struct jsonrpc_message *message)
{
        struct json_slice code;
        int64_t number;

        if (message->error.size == 0 || json_get(message->error, "code", &code) < 0 || json_integer(code, &number) < 0)
                return 200;
        for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
                if (statuses[i].code == number)
                        return statuses[i].status;
        return 200;
}

static struct jsonrpc_edit edit_to(struct json_slice old, const struct token *token)
{
        return (struct jsonrpc_edit) { .old = old, .text = token->data, .size = token->size };
}

static void own_response(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message)
{
        bool is_listing = call == stdio->modern.listing;

        if (is_listing)
                stdio->modern.listing = NULL;
        stdio_call_remove(stdio, call);
        if (is_listing)
                modern_tools_response(stdio, message);
}

void modern_respond(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message)
{
        if (call->is_own)
                return own_response(stdio, call, message);
        struct jsonrpc_edit edits[EDITS_MAX] = { edit_to(message->id, &call->id) };
        _cleanup_free_ char *text = NULL;
        struct json_slice subscription;
        size_t n = 1, size;

        if (call->listen && message->result.size > 0 &&
            json_get_path(message->result, &subscription, "_meta", SUBSCRIPTION, NULL) >= 0)
                edits[n++] = edit_to(subscription, &call->id);
        modern_handles_answer(stdio, call, message);
        if (call->stream) {
                struct stream *stream = TAKE_PTR(call->stream);
                struct failure failure = { .reason = REASON_internal };

                if (jsonrpc_edit(message->whole, edits, n, &text, &size) >= 0)
                        stream_respond_status(stream, status_of(message), text, size);
                else
                        stream_fail(stream, &failure, token_slice(&call->id));
        }
        stdio_call_remove(stdio, call);
}

void modern_listen_end(struct call *call)
{
        struct json_writer w = { .failed = false };
        _cleanup_free_ char *text = NULL;
        size_t size;

        json_writer_text(&w, "{\"jsonrpc\":\"2.0\",\"id\":");
        json_writer_raw(&w, call->id.data, call->id.size);
        json_writer_text(&w, ",\"result\":{\"resultType\":\"complete\",\"_meta\":{\"" SUBSCRIPTION "\":");
        json_writer_raw(&w, call->id.data, call->id.size);
        json_writer_text(&w, "}}}");
        if (json_writer_finish(&w, &text, &size) >= 0)
                stream_respond(TAKE_PTR(call->stream), text, size);
        else
                stream_end(TAKE_PTR(call->stream));
}

/* ---- notifications ---- */

static bool is_empty(struct json_slice object)
{
        size_t cursor = 0;
        struct json_slice name, value;

        return json_next(object, &cursor, &name, &value) <= 0;
}

/* An edit that puts a member first into object. w is of the caller, and holds the text. */
static struct jsonrpc_edit edit_member(struct json_writer *w, struct json_slice object, const char *before,
                                       const struct token *id, const char *behind)
{
        json_writer_text(w, before);
        json_writer_raw(w, id->data, id->size);
        json_writer_text(w, behind);
        if (!is_empty(object))
                json_writer_text(w, ",");
        return (struct jsonrpc_edit) { .old = { .data = object.data + 1 }, .text = w->data, .size = w->size };
}

/* What is for a listener says so, whether the backend tagged it or not. */
static int tag(const struct call *call, const struct jsonrpc_message *message, char **ret, size_t *ret_size)
{
        _cleanup_json_writer_ struct json_writer w = { .failed = false };
        struct jsonrpc_edit edit;
        struct json_slice meta, subscription;

        if (message->params.size == 0)
                edit = edit_member(&w, message->whole, "\"params\":{\"_meta\":{\"" SUBSCRIPTION "\":", &call->id, "}}");
        else if (json_get(message->params, "_meta", &meta) < 0 || json_slice_type(meta) != JSON_OBJECT)
                edit = edit_member(&w, message->params, "\"_meta\":{\"" SUBSCRIPTION "\":", &call->id, "}");
        else if (json_get(meta, SUBSCRIPTION, &subscription) < 0)
                edit = edit_member(&w, meta, "\"" SUBSCRIPTION "\":", &call->id, "");
        else
                edit = edit_to(subscription, &call->id);
        return w.failed ? -ENOMEM : jsonrpc_edit(message->whole, &edit, 1, ret, ret_size);
}

static void deliver_tagged(struct call *call, const struct jsonrpc_message *message)
{
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (tag(call, message, &text, &size) >= 0)
                (void) stream_message(call->stream, text, size);
}

static void deliver_to_listener(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message)
{
        if (jsonrpc_method_is(message, "notifications/cancelled")) {
                modern_listen_end(call);
                return stdio_call_remove(stdio, call);
        }
        if (jsonrpc_method_is(message, "notifications/subscriptions/acknowledged"))
                listen_acknowledge(call->listen);
        deliver_tagged(call, message);
}

static void deliver_on_call(struct call *call, const struct jsonrpc_message *message)
{
        _cleanup_free_ char *text = NULL;
        struct json_slice token;
        size_t size;

        if (call->progress.size == 0 || !jsonrpc_method_is(message, "notifications/progress") ||
            json_get(message->params, "progressToken", &token) < 0)
                (void) stream_message(call->stream, message->whole.data, message->whole.size);
        else if (jsonrpc_replace(message->whole, token, call->progress.data, call->progress.size, &text, &size) >= 0)
                (void) stream_message(call->stream, text, size);
}

static void deliver_news(struct stdio *stdio, const struct jsonrpc_message *message)
{
        for (struct call *call = calls_next(stdio->calls, NULL), *next; call; call = next) {
                next = calls_next(stdio->calls, call);
                if (call->stream && call->listen && listen_wants(call->listen, message))
                        deliver_tagged(call, message);
        }
}

/* This revision has no requests of servers. One that waits for an answer is told so at once. */
static void refuse_request(struct stdio *stdio, const struct jsonrpc_message *message)
{
        _cleanup_free_ char *text = NULL;
        int n = asprintf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"error\":{\"code\":-32601,\"message\":"
                         "\"MCP " MCP_MODERN " has no requests of servers\"}}", (int) message->id.size, message->id.data);

        log_ring_addf(stdio->worker->logs, LOG_STDOUT, "[a request of the backend was refused]");
        if (n < 0)
                text = NULL;
        else
                forward_text(stdio, text, (size_t) n);
}

void modern_deliver(struct stdio *stdio, const struct jsonrpc_message *message)
{
        struct placement place;

        if (message->kind == JSONRPC_REQUEST)
                return refuse_request(stdio, message);
        if (jsonrpc_method_is(message, "notifications/tools/list_changed"))
                modern_tools_changed(stdio);
        place = modern_placement_of(message, stdio->calls);
        if (place.where == PLACE_ALL)
                return deliver_news(stdio, message);
        if (place.where != PLACE_CALL)
                return;
        life_ready(stdio->worker->life);
        if (place.call->listen)
                deliver_to_listener(stdio, place.call, message);
        else
                deliver_on_call(place.call, message);
}
