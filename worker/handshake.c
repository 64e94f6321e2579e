#include "worker/handshake.h"

#include "worker/exchange.h"
#include "worker/life.h"
#include "worker/link.h"
#include "worker/stdio_endpoint.h"

#define WAITING_MAX 32u

/* An initialize that waits for the first one's answer. */
struct waiting {
        TAILQ_ENTRY(waiting) entry;
        struct client *client;
        struct stream *stream; /* NULL: its client left */
        char *text;
        size_t size;
};

void handshake_init(struct handshake *handshake)
{
        *handshake = (struct handshake) { .state = HANDSHAKE_NONE };
        TAILQ_INIT(&handshake->waiting);
}

static struct waiting *waiting_take(struct handshake *handshake)
{
        struct waiting *waiting = TAILQ_FIRST(&handshake->waiting);

        if (waiting) {
                TAILQ_REMOVE(&handshake->waiting, waiting, entry);
                handshake->n_waiting--;
        }
        return waiting;
}

static void waiting_free(struct waiting *waiting)
{
        client_free(waiting->client);
        free(waiting->text);
        free(waiting);
}

void handshake_done(struct handshake *handshake)
{
        struct waiting *waiting;

        while ((waiting = waiting_take(handshake)))
                waiting_free(waiting);
        free(handshake->response);
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

/* ---- attaching ---- */

static void on_alias(enum key_kind kind, const char *key, void *userdata)
{
        link_alias(userdata, kind, key, false);
}

/* Room for one more: the oldest client that neither listens nor waits for anything makes it. */
static bool make_room(struct stdio *stdio)
{
        struct failure failure = { .reason = REASON_replaced, .detail = "too many clients on this session" };
        struct clients *clients = stdio->worker->clients;

        for (struct client *client = clients_next(clients, NULL); client; client = clients_next(clients, client))
                if (!client->get_stream && !placement_newest_call(stdio->calls, client, true)) {
                        stdio_client_leave(stdio, client, &failure);
                        return true;
                }
        return false;
}

/* Attaches by the server's policy; the word for Envmux-Attach, or NULL with the reason of the refusal. */
static const char *attach(struct stdio *stdio, struct client *client, enum reason *ret_reason)
{
        struct worker *worker = stdio->worker;
        const char *word = stdio->handshake.had_client ? "joined" : "new";

        if (clients_count(worker->clients) > 0 && worker->spec->attach == ATTACH_REJECT) {
                *ret_reason = REASON_session_attached;
                return NULL;
        }
        if (clients_attach(worker->clients, client) < 0 &&
            (!make_room(stdio) || clients_attach(worker->clients, client) < 0)) {
                *ret_reason = REASON_overloaded;
                return NULL;
        }
        stdio->handshake.had_client = true;
        stdio->is_shared |= clients_count(worker->clients) > 1;
        backlog_move(&client->backlog, &stdio->unattached);
        clients_alias_of(worker->clients, client, false, on_alias, worker->link);
        link_status_changed(worker->link);
        return word;
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
                ? attach(stdio, client_consume, &reason) : NULL;

        if (!word) {
                client_free(client_consume);
                return stream_refuse(stream, reason, id);
        }
        stream->session.attach = word;
        stream->session.transport_id = client_consume->transport_id;
        stream_respond(stream, text, size);
}

/* ---- the first one ---- */

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
        call->is_initialize = true;
        stdio->handshake.state = HANDSHAKE_PENDING;
}

/* The first failed; the next one becomes the first. */
static void try_next(struct stdio *stdio)
{
        struct waiting *waiting;

        stdio->handshake.state = HANDSHAKE_NONE;
        while (!stdio->failure && stdio->handshake.state == HANDSHAKE_NONE &&
               (waiting = waiting_take(&stdio->handshake))) {
                struct jsonrpc_message message;

                if (waiting->stream && jsonrpc_parse(waiting->text, waiting->size, &message) >= 0)
                        forward_first(stdio, TAKE_PTR(waiting->client), waiting->stream, &message);
                waiting_free(waiting);
        }
}

static void admit_waiting(struct stdio *stdio)
{
        struct waiting *waiting;

        while ((waiting = waiting_take(&stdio->handshake))) {
                struct jsonrpc_message message;

                if (waiting->stream && jsonrpc_parse(waiting->text, waiting->size, &message) >= 0)
                        admit(stdio, TAKE_PTR(waiting->client), waiting->stream, message.id);
                waiting_free(waiting);
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

void handshake_response(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message)
{
        struct client *client = TAKE_PTR(call->client);
        bool is_result = message->result.size > 0 && result_keep(&stdio->handshake, message) >= 0;
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (is_result) {
                admit(stdio, client, call->stream, token_slice(&call->id));
        } else {
                if (call->stream && jsonrpc_replace(message->whole, message->id, call->id.data, call->id.size, &text,
                                                    &size) >= 0) {
                        call->stream->session.transport_id = NULL;
                        stream_respond(call->stream, text, size);
                }
                client_free(client);
        }
        stdio_call_remove(stdio, call);
        if (is_result)
                admit_waiting(stdio);
        else
                try_next(stdio);
}

void handshake_given_up(struct stdio *stdio, struct call *call)
{
        client_free(TAKE_PTR(call->client));
        if (call->stream)
                call->stream->session.transport_id = NULL;
        try_next(stdio);
}

/* ---- requests ---- */

static void wait_for_first(struct stdio *stdio, struct client *client_consume, struct stream *stream,
                           const struct jsonrpc_message *message)
{
        struct handshake *handshake = &stdio->handshake;
        struct waiting *waiting = handshake->n_waiting < WAITING_MAX ? calloc(1, sizeof(*waiting)) : NULL;

        if (waiting && !(waiting->text = malloc(message->whole.size))) {
                free(waiting);
                waiting = NULL;
        }
        if (!waiting) {
                client_free(client_consume);
                return stream_refuse(stream, REASON_overloaded, message->id);
        }
        memcpy(waiting->text, message->whole.data, message->whole.size);
        waiting->size = message->whole.size;
        waiting->client = client_consume;
        waiting->stream = stream;
        TAILQ_INSERT_TAIL(&handshake->waiting, waiting, entry);
        handshake->n_waiting++;
}

static int client_make(const struct exchange *exchange, const struct jsonrpc_message *message, struct client **ret)
{
        char identity[IDENTITY_SIZE] = "";
        struct json_slice info;

        if (json_get(message->params, "clientInfo", &info) < 0 || json_slice_type(info) != JSON_OBJECT ||
            identity_from_client_info(info, identity) < 0)
                identity[0] = '\0';
        return client_new(exchange->transport_id, identity, ret);
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
        if (client_make(exchange, message, &client) < 0)
                return exchange_refuse(exchange, REASON_internal, NULL, message->id.data, message->id.size);
        if (stream_make(stdio, exchange, client, &stream) < 0) {
                client_free(client);
                return exchange_refuse(exchange, REASON_internal, NULL, message->id.data, message->id.size);
        }
        if (stdio->handshake.state == HANDSHAKE_NONE)
                forward_first(stdio, client, stream, message);
        else if (stdio->handshake.state == HANDSHAKE_PENDING)
                wait_for_first(stdio, client, stream, message);
        else
                admit(stdio, client, stream, message->id);
}

void handshake_fail_all(struct stdio *stdio, const struct failure *failure)
{
        struct waiting *waiting;

        while ((waiting = waiting_take(&stdio->handshake))) {
                struct jsonrpc_message message;

                if (!waiting->stream || jsonrpc_parse(waiting->text, waiting->size, &message) < 0)
                        ; /* nobody waits */
                else if (failure->reason == REASON_replaced)
                        stream_turn_away(waiting->stream, message.id);
                else
                        stream_fail(waiting->stream, failure, message.id);
                waiting_free(waiting);
        }
}

bool handshake_forget_stream(struct handshake *handshake, const struct stream *stream)
{
        struct waiting *waiting;

        TAILQ_FOREACH(waiting, &handshake->waiting, entry)
                if (waiting->stream == stream) {
                        waiting->stream = NULL;
                        return true;
                }
        return false;
}

bool handshake_swallows(struct handshake *handshake, const struct jsonrpc_message *message)
{
        if (!jsonrpc_method_is(message, "notifications/initialized"))
                return false;
        bool is_repeated = handshake->is_initialized;

        handshake->is_initialized = true;
        return is_repeated;
}
