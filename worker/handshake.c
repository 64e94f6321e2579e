#include "worker/handshake.h"

#include "worker/adopt.h"
#include "worker/attach.h"
#include "worker/exchange.h"
#include "worker/life.h"
#include "worker/stdio_endpoint.h"

void handshake_init(struct handshake *handshake)
{
        *handshake = (struct handshake) { .state = HANDSHAKE_NONE };
        waiting_init(&handshake->waiting);
}

void handshake_done(struct handshake *handshake)
{
        waiting_done(&handshake->waiting);
        free(handshake->response);
        free(handshake->request);
}

static void stream_refuse(struct stream *stream, enum reason reason, struct json_slice id)
{
        struct failure failure = { .reason = reason };

        if (stream)
                stream_fail(stream, &failure, id);
}

/* Who was on its way in when the session ended in favour of another finds the next one; once comments
 * have begun the answer it is too late for that. */
static void stream_turn_away(struct stream *stream, struct json_slice id)
{
        if (stream_is_begun(stream))
                stream_refuse(stream, REASON_replaced, id);
        else
                stream_gone(stream);
}

/* Answers one initialize with the result at hand, under its own id. Consumes the client. The supervisor
 * hears of the new keys first. */
static void admit(struct stdio *stdio, struct client *client_consume, struct stream *stream, struct json_slice id)
{
        struct handshake *handshake = &stdio->handshake;
        struct worker *worker = stdio->worker;
        _cleanup_free_ char *text = NULL;
        struct jsonrpc_message answer;
        enum reason reason = REASON_internal;
        size_t size;

        if (!stream) { /* nobody waits for it: the result is kept for whoever comes next */
                client_free(client_consume);
                return;
        }
        if (life_is_replaced(worker->life)) {
                client_free(client_consume);
                stream_turn_away(stream, id);
                return life_end(worker->life, GONE_REPLACED, REASON_replaced, NULL);
        }
        const char *word = jsonrpc_parse(handshake->response, handshake->response_size, &answer) >= 0 &&
                        jsonrpc_replace(answer.whole, answer.id, id.data, id.size, &text, &size) >= 0
                ? attach_initialized(stdio, client_consume, &reason) : NULL;

        if (!word) {
                client_free(client_consume);
                return stream_refuse(stream, reason, id);
        }
        stream->session.attach = word;
        stream->session.transport_id = client_consume->transport_id;
        if (stream->kind == STREAM_SSE)
                sse_attached(stdio, stream, client_consume);
        stream_respond(stream, text, size);
}

/* ---- the first one ---- */

int handshake_keep_request(struct handshake *handshake, struct json_slice request)
{
        char *copy = request.size <= HANDSHAKE_KEPT_MAX ? malloc(request.size) : NULL;

        if (!copy && request.size <= HANDSHAKE_KEPT_MAX)
                return -ENOMEM;
        if (copy)
                memcpy(copy, request.data, request.size);
        free(handshake->request);
        handshake->request = copy;
        handshake->request_size = request.size;
        return 0;
}

/* Just sent: it is the backend's from now on. */
static void request_note(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message)
{
        call->is_initialize = true;
        stdio->handshake.state = HANDSHAKE_PENDING;
        if (stdio->worker->spec->revives && message->whole.data != stdio->handshake.request)
                (void) handshake_keep_request(&stdio->handshake, message->whole);
}

void handshake_begin_own(struct stdio *stdio, const char *text, size_t size)
{
        struct jsonrpc_message message;
        struct call *call;
        enum reason reason;

        if (jsonrpc_parse(text, size, &message) < 0 ||
            forward_request(stdio, NULL, NULL, &message, &call, &reason) < 0)
                return; /* who waits hears of the backend's end, or of the start's deadline */
        stdio->handshake.is_own = true;
        request_note(stdio, call, &message);
}

/* Forwards an initialize. Consumes the client, which the call holds from then on. */
static void forward_first(struct stdio *stdio, struct client *client_consume, struct stream *stream,
                          const struct jsonrpc_message *message)
{
        struct call *call;
        enum reason reason;

        if (forward_request(stdio, client_consume, stream, message, &call, &reason) < 0) {
                client_free(client_consume);
                return stream_refuse(stream, reason, message->id);
        }
        request_note(stdio, call, message);
}

/* The next that waits: its initialize becomes the first; who has none gets ours. */
static void try_next(struct stdio *stdio)
{
        struct handshake *handshake = &stdio->handshake;

        while (!stdio->failure && handshake->state == HANDSHAKE_NONE && handshake->waiting.n > 0) {
                if (!TAILQ_FIRST(&handshake->waiting.list)->is_initialize) {
                        adopt_begin(stdio);
                        return;
                }
                _cleanup_(waiting_freep) struct waiting *waiting = waiting_take(&handshake->waiting);
                struct jsonrpc_message message;

                if (jsonrpc_parse(waiting->text, waiting->size, &message) >= 0)
                        forward_first(stdio, TAKE_PTR(waiting->client), waiting->stream, &message);
        }
}

/* Everything that came before the handshake was done, in order. */
static void go_on(struct stdio *stdio)
{
        struct waiting *next;

        while (!stdio->failure && (next = waiting_take(&stdio->handshake.waiting))) {
                _cleanup_(waiting_freep) struct waiting *waiting = next;
                struct jsonrpc_message message;

                if (jsonrpc_parse(waiting->text, waiting->size, &message) < 0)
                        continue;
                if (waiting->is_initialize)
                        admit(stdio, TAKE_PTR(waiting->client), waiting->stream, message.id);
                else
                        adopt_forward(stdio, waiting->client, waiting->stream, &message);
        }
}

static int result_keep(struct handshake *handshake, const struct jsonrpc_message *message)
{
        struct json_slice version;

        handshake->response = malloc(message->whole.size);
        if (!handshake->response)
                return -ENOMEM;
        memcpy(handshake->response, message->whole.data, message->whole.size);
        handshake->response_size = message->whole.size;
        handshake->state = HANDSHAKE_DONE;
        if (json_get(message->result, "protocolVersion", &version) < 0 ||
            json_string_copy(version, handshake->version, sizeof(handshake->version)) < 0)
                handshake->version[0] = '\0';
        return 0;
}

/* Ours was refused, or not answered: nobody else's would do better. */
static void fail_own(struct stdio *stdio, const char *why)
{
        life_end(stdio->worker->life, GONE_START_FAILED, REASON_start_failed, why);
}

static void answer_error(struct stream *stream, const struct jsonrpc_message *message, struct json_slice id)
{
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (!stream || jsonrpc_replace(message->whole, message->id, id.data, id.size, &text, &size) < 0)
                return;
        stream->session.transport_id = NULL;
        stream_respond(stream, text, size);
}

void handshake_response(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message)
{
        struct handshake *handshake = &stdio->handshake;
        struct client *client = TAKE_PTR(call->client);
        struct stream *stream = TAKE_PTR(call->stream);
        _cleanup_free_ char *id_data = TAKE_PTR(call->id.data);
        struct json_slice id = { .data = id_data, .size = call->id.size };
        bool is_result = message->result.size > 0 && result_keep(handshake, message) >= 0;

        stdio_call_remove(stdio, call); /* to admit a client may end the session, and every call with it */
        if (is_result) {
                admit(stdio, client, stream, id);
        } else {
                handshake->state = HANDSHAKE_NONE;
                stdio->era = ERA_UNKNOWN; /* a backend of the other era refuses it, and is pinned to nothing */
                answer_error(stream, message, id);
                client_free(client);
        }
        if (is_result && handshake->is_replayed && !streq(handshake->version, handshake->own_version))
                return fail_own(stdio, "it speaks another revision of MCP than the backend before it");
        if (is_result && handshake->is_own)
                handshake_say_initialized(stdio);
        if (is_result)
                go_on(stdio);
        else if (handshake->is_own)
                fail_own(stdio, "it refused to be initialized");
        else
                try_next(stdio);
}

void handshake_given_up(struct stdio *stdio, struct call *call)
{
        stdio->handshake.state = HANDSHAKE_NONE;
        client_free(TAKE_PTR(call->client));
        if (call->stream)
                call->stream->session.transport_id = NULL;
}

void handshake_try_next(struct stdio *stdio)
{
        if (stdio->failure || stdio->handshake.state != HANDSHAKE_NONE)
                return;
        if (stdio->handshake.is_own)
                fail_own(stdio, "it did not answer initialize");
        else
                try_next(stdio);
}

bool handshake_is_due(const struct stdio *stdio)
{
        return stdio->handshake.state != HANDSHAKE_DONE;
}

void handshake_say_initialized(struct stdio *stdio)
{
        static const char text[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
        struct jsonrpc_message message;

        if (!stdio->handshake.is_initialized && jsonrpc_parse(text, sizeof(text) - 1, &message) >= 0)
                forward_notification(stdio, NULL, &message);
}

/* ---- requests ---- */

static void wait_for_first(struct stdio *stdio, struct client *client_consume, struct stream *stream,
                           const struct jsonrpc_message *message)
{
        int r = waiting_add(&stdio->handshake.waiting, client_consume, stream, true, message->whole.data,
                            message->whole.size);

        if (r < 0) {
                client_free(client_consume);
                stream_refuse(stream, r == -ENOBUFS ? REASON_overloaded : REASON_internal, message->id);
        }
}

int handshake_client(const char *transport_id, const struct jsonrpc_message *message, struct client **ret)
{
        char identity[IDENTITY_SIZE] = "";
        struct json_slice info;

        if (json_get(message->params, "clientInfo", &info) < 0 || json_slice_type(info) != JSON_OBJECT ||
            identity_from_client_info(info, identity) < 0)
                identity[0] = '\0';
        return client_new(transport_id, identity, ret);
}

/* The stream that an initialize is answered on, with what its head will tell. */
static int stream_make(struct stdio *stdio, struct exchange *exchange, struct client *client, struct stream **ret)
{
        const struct spec *spec = stdio->worker->spec;
        int r = stream_new(exchange, STREAM_SINGLE, stdio->stream_bytes_max, &stdio_stream_ops, stdio, ret);

        if (r < 0)
                return r;
        exchange->endpoint_data = *ret;
        (*ret)->client = client;
        (*ret)->n_calls = 1;
        (*ret)->session = (struct carrier_session) {
                .transport_id = exchange->transport_id,
                .key = spec->key,
                .generation = spec->generation,
                .attach = stdio->handshake.state == HANDSHAKE_NONE ? "new" : "joined",
        };
        return 0;
}

void handshake_begin(struct stdio *stdio, struct client *client_consume, struct stream *stream,
                     const struct jsonrpc_message *message)
{
        if (stdio->handshake.state == HANDSHAKE_NONE)
                forward_first(stdio, client_consume, stream, message);
        else if (stdio->handshake.state == HANDSHAKE_PENDING)
                wait_for_first(stdio, client_consume, stream, message);
        else
                admit(stdio, client_consume, stream, message->id);
}

void handshake_request(struct stdio *stdio, struct exchange *exchange, const struct jsonrpc_message *message)
{
        struct client *client;
        struct stream *stream;

        if (!exchange->is_minted) {
                bool is_known = clients_find(stdio->worker->clients, exchange->transport_id);

                return exchange_refuse(exchange, is_known ? REASON_bad_request : REASON_unknown_session,
                                       is_known ? "this client is initialized already" : NULL, message->id.data,
                                       message->id.size);
        }
        if (handshake_client(exchange->transport_id, message, &client) < 0)
                return exchange_refuse(exchange, REASON_internal, NULL, message->id.data, message->id.size);
        if (stream_make(stdio, exchange, client, &stream) < 0) {
                client_free(client);
                return exchange_refuse(exchange, REASON_internal, NULL, message->id.data, message->id.size);
        }
        handshake_begin(stdio, client, stream, message);
}

void handshake_fail_all(struct stdio *stdio, const struct failure *failure)
{
        struct waiting *next;

        while ((next = waiting_take(&stdio->handshake.waiting))) {
                _cleanup_(waiting_freep) struct waiting *waiting = next;
                struct jsonrpc_message message;

                if (!waiting->stream || jsonrpc_parse(waiting->text, waiting->size, &message) < 0)
                        continue; /* nobody waits */
                if (waiting->is_initialize && failure->reason == REASON_replaced)
                        stream_turn_away(waiting->stream, message.id);
                else
                        forward_refuse(waiting->stream, &message, failure);
        }
}

bool handshake_swallows(struct handshake *handshake, const struct jsonrpc_message *message)
{
        if (!jsonrpc_method_is(message, "notifications/initialized"))
                return false;
        bool is_repeated = handshake->is_initialized;

        handshake->is_initialized = true;
        return is_repeated;
}
