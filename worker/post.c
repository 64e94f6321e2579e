#include "worker/stdio_endpoint.h"

#include "worker/adopt.h"
#include "worker/exchange.h"
#include "worker/idle.h"
#include "worker/link.h"
#include "worker/modern.h"

#define BODY_FIRST_BYTES (16u * 1024)
#define BATCH_MAX 100u
#define BATCH_UNTIL "2025-06-18" /* revisions from this one on have no batches */

/* A body on its way in. */
struct post {
        char *text;
        size_t size, allocated;
};

/* ---- head and body ---- */

static bool is_json(const struct http_head *head)
{
        struct http_slice type;

        if (http_head_get(head, "Content-Type", &type) < 0)
                return false;
        const char *semicolon = memchr(type.data, ';', type.size);

        if (semicolon)
                type.size = (size_t) (semicolon - type.data);
        while (type.size > 0 && (type.data[type.size - 1] == ' ' || type.data[type.size - 1] == '\t'))
                type.size--;
        return http_slice_is_nocase(type, "application/json");
}

int post_begin(struct stdio *stdio, struct exchange *exchange)
{
        const struct http_head *head = exchange->head;

        if (!http_head_lists(head, "Accept", "application/json") ||
            !http_head_lists(head, "Accept", "text/event-stream")) {
                exchange_refuse(exchange, REASON_not_acceptable, "application/json and text/event-stream", NULL, 0);
                return -EINVAL;
        }
        return post_open(stdio, exchange);
}

int post_open(_unused_ struct stdio *stdio, struct exchange *exchange)
{
        if (!is_json(exchange->head)) {
                exchange_refuse(exchange, REASON_unsupported_type, NULL, NULL, 0);
                return -EINVAL;
        }
        exchange->endpoint_data = calloc(1, sizeof(struct post));
        if (!exchange->endpoint_data) {
                exchange_refuse(exchange, REASON_internal, NULL, NULL, 0);
                return -ENOMEM;
        }
        return 0;
}

void post_free(struct stdio *stdio, struct post *post)
{
        stdio->body_bytes -= post->size;
        free(post->text);
        free(post);
}

static int post_append(struct stdio *stdio, struct post *post, const void *data, size_t size)
{
        if (post->size + size > post->allocated) {
                size_t allocated = MAX_OF(post->allocated * 2, MAX_OF(post->size + size, (size_t) BODY_FIRST_BYTES));
                char *bigger = realloc(post->text, allocated);

                if (!bigger)
                        return -ENOMEM;
                post->text = bigger;
                post->allocated = allocated;
        }
        memcpy(post->text + post->size, data, size);
        post->size += size;
        stdio->body_bytes += size;
        return 0;
}

/* One message always fits; a further one only within the budget. */
static bool has_room(const struct stdio *stdio, const struct post *post, size_t size)
{
        size_t pending = forward_pending_bytes(stdio);

        return pending == post->size || pending + size <= stdio->half_bytes_max;
}

void post_body(struct stdio *stdio, struct exchange *exchange, const void *data, size_t size)
{
        struct post *post = exchange->endpoint_data;
        enum reason reason = REASON_overloaded;

        if (has_room(stdio, post, size)) {
                if (post_append(stdio, post, data, size) >= 0)
                        return;
                reason = REASON_internal;
        }
        post_free(stdio, post);
        exchange->endpoint_data = NULL;
        exchange_refuse(exchange, reason, NULL, NULL, 0);
}

/* ---- messages ---- */

static void accepted(struct exchange *exchange)
{
        exchange_respond(exchange, 202, NULL, NULL, NULL, 0);
}

/* The message goes to the backend, now or when it is ready for it. False: nothing of it was taken. */
static bool pass(struct stdio *stdio, struct client *client, struct stream *stream,
                 const struct jsonrpc_message *message)
{
        struct failure failure = { .reason = REASON_overloaded };

        if (!handshake_is_due(stdio)) {
                adopt_forward(stdio, client, stream, message);
                return true;
        }
        if (adopt_hold(stdio, client, stream, message) >= 0)
                return true;
        if (stream)
                forward_refuse(stream, message, &failure);
        return false;
}

static void take_request(struct stdio *stdio, struct exchange *exchange, struct client *client,
                         const struct jsonrpc_message *message)
{
        struct stream *stream;

        if (stdio_stream_new(stdio, exchange, STREAM_SINGLE, client, 1, &stream) < 0)
                return exchange_refuse(exchange, REASON_internal, NULL, message->id.data, message->id.size);
        pass(stdio, client, stream, message);
}

/* A notification, a response, or a batch of those. */
static void take_unanswered(struct stdio *stdio, struct exchange *exchange, struct client *client,
                            const struct jsonrpc_message *message)
{
        if (pass(stdio, client, NULL, message))
                accepted(exchange);
        else
                exchange_refuse(exchange, REASON_overloaded, NULL, NULL, 0);
}

/* Requests that stand alone do so in HTTP as well. */
static bool claims_envelope(const struct jsonrpc_message *message)
{
        struct mcp_envelope envelope;

        mcp_envelope_read(message, &envelope);
        return envelope.version.size > 0;
}

/* Counts the requests of a batch. -EINVAL: an element may not stand in one. */
static int batch_check(const struct jsonrpc_message *batch, unsigned *ret_requests)
{
        struct json_slice element;
        unsigned n = 0, requests = 0;

        for (size_t cursor = 0; json_next(batch->whole, &cursor, NULL, &element) > 0; n++) {
                struct jsonrpc_message message;

                if (n == BATCH_MAX || jsonrpc_parse_value(element, &message) < 0 || claims_envelope(&message))
                        return -EINVAL;
                if (message.kind == JSONRPC_REQUEST && jsonrpc_method_is(&message, "initialize"))
                        return -EINVAL;
                if (message.kind == JSONRPC_REQUEST)
                        requests++;
        }
        *ret_requests = requests;
        return 0;
}

static void take_batch(struct stdio *stdio, struct exchange *exchange, struct client *client,
                       const struct jsonrpc_message *batch)
{
        struct stream *stream;
        unsigned requests;

        if (stdio->handshake.version[0] && strcmp(stdio->handshake.version, BATCH_UNTIL) >= 0)
                return exchange_refuse(exchange, REASON_bad_request, "this revision has no batches", NULL, 0);
        if (batch_check(batch, &requests) < 0)
                return exchange_refuse(exchange, REASON_bad_request, "an element may not stand in a batch", NULL, 0);
        if (requests == 0)
                return take_unanswered(stdio, exchange, client, batch);
        if (stdio_stream_new(stdio, exchange, STREAM_BATCH, client, requests, &stream) < 0)
                return exchange_refuse(exchange, REASON_internal, NULL, NULL, 0);
        pass(stdio, client, stream, batch);
}

static void (*const takers[])(struct stdio *stdio, struct exchange *exchange, struct client *client,
                              const struct jsonrpc_message *message) = {
        [JSONRPC_REQUEST] = take_request,
        [JSONRPC_NOTIFICATION] = take_unanswered,
        [JSONRPC_RESPONSE] = take_unanswered,
        [JSONRPC_BATCH] = take_batch,
};

static void take(struct stdio *stdio, struct exchange *exchange, const struct jsonrpc_message *message)
{
        struct json_slice id = message->kind == JSONRPC_REQUEST ? message->id : (struct json_slice) { 0 };
        struct client *client;
        enum reason reason;

        bool is_initialize = message->kind == JSONRPC_REQUEST && jsonrpc_method_is(message, "initialize");
        bool is_modern = mcp_is_modern(exchange->head, message);

        /* Who begins a session while this one ends finds the next one, as those do whom the door turns away. */
        if (stdio->failure && (is_initialize || is_modern) && !reason_is_infra(stdio->failure->reason))
                return exchange_gone(exchange);
        if (stdio->failure)
                return exchange_fail(exchange, stdio->failure, id.data, id.size);
        if (is_modern)
                return modern_take(stdio, exchange, message);
        if (is_initialize && mcp_head_is_modern(exchange->head))
                return exchange_refuse(exchange, REASON_header_mismatch, "initialize is not of this revision", id.data,
                                       id.size);
        if (stdio->era == ERA_MODERN)
                return modern_refuse_legacy(exchange, message);
        if (is_initialize)
                return handshake_request(stdio, exchange, message);
        if (!stdio_version_is_fine(stdio, exchange))
                return exchange_refuse(exchange, REASON_unsupported_version, NULL, id.data, id.size);
        if (adopt_client(stdio, exchange, &client, &reason) < 0)
                return exchange_refuse(exchange, reason, NULL, id.data, id.size);
        takers[message->kind](stdio, exchange, client, message);
}

int post_take(struct stdio *stdio, struct exchange *exchange, struct post **ret, struct jsonrpc_message *ret_message)
{
        struct post *post = TAKE_PTR(exchange->endpoint_data);
        int r = jsonrpc_parse(post->text, post->size, ret_message);

        if (r < 0) {
                post_free(stdio, post);
                exchange_refuse(exchange, r == -EPROTO ? REASON_bad_request : REASON_parse_error,
                                r == -EPROTO ? "the body is not a JSON-RPC message" : NULL, NULL, 0);
                return r;
        }
        /* The backend reads lines; the text keeps its size, so that the slices stay right. */
        json_blank_newlines(post->text, post->size);
        *ret = post;
        return 0;
}

void post_end(struct stdio *stdio, struct exchange *exchange)
{
        struct jsonrpc_message message;
        struct post *post;

        if (post_take(stdio, exchange, &post, &message) >= 0) {
                take(stdio, exchange, &message);
                post_free(stdio, post);
        }
        link_status_changed(stdio->worker->link);
}
