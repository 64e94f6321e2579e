#include "worker/sse_clients.h"

#include "common/http/target.h"
#include "worker/backend.h"
#include "worker/exchange.h"
#include "worker/idle.h"
#include "worker/life.h"
#include "worker/link.h"
#include "worker/stdio_endpoint.h"

#include <stdio.h>

#define PREFIX_BYTES_MAX 2048u /* of the public path before /sse */
#define SILENT_USEC (500 * USEC_PER_MSEC)

/* One open GET /sse. */
struct sse {
        TAILQ_ENTRY(sse) entry;
        struct stdio *stdio;
        struct client *client; /* NULL until its initialize was answered */
        struct stream *stream; /* NULL: lost, and timer is on its way */
        struct event *timer;   /* its client is silent; or, from the loop, its stream is lost: that may happen inside of
                                * a delivery to this very client */
        char id[IPC_KEY_SIZE];
};

void sse_init(struct sse_list *list)
{
        TAILQ_INIT(list);
}

static void sse_free(struct sse *sse)
{
        TAILQ_REMOVE(&sse->stdio->sses, sse, entry);
        event_free(sse->timer);
        free(sse);
}

void sse_done(struct sse_list *list)
{
        while (!TAILQ_EMPTY(list))
                sse_free(TAILQ_FIRST(list));
}

static struct sse *sse_find(const struct stdio *stdio, const char *id)
{
        struct sse *sse;

        TAILQ_FOREACH(sse, &stdio->sses, entry)
                if (sse->stream && streq(sse->id, id))
                        return sse;
        return NULL;
}

/* Its POSTs may name nothing but the id, the first one before the client is attached. */
static void tell_alias(const struct sse *sse, bool is_removed)
{
        const struct worker *worker = sse->stdio->worker;

        if (worker->spec->kind != KEY_TRANSPORT || !streq(worker->spec->key, sse->id))
                link_alias(worker->link, KEY_TRANSPORT, sse->id, is_removed);
}

/* ---- how a stream ends ---- */

/* A session that was reached by this transport alone has nobody left, nor has one that waits for the
 * initialize of the client that has just gone. */
static bool is_in_vain(const struct worker *worker)
{
        if (clients_count(worker->clients) > 0 || worker->spec->is_managed)
                return false;
        return worker->spec->kind == KEY_TRANSPORT ||
               (life_is_starting(worker->life) && idle_in_flight(worker->idle) == 0);
}

static void ended(struct sse *sse)
{
        struct stdio *stdio = sse->stdio;
        struct client *client = sse->client;
        const struct failure failure = { .reason = REASON_session_ended, .detail = "its client closed the event stream" };

        if (!client)
                tell_alias(sse, true);
        sse_free(sse);
        if (stdio->failure)
                return;
        if (client)
                stdio_client_leave(stdio, client, &failure);
        if (is_in_vain(stdio->worker))
                life_end(stdio->worker->life, GONE_DELETED, failure.reason, failure.detail);
}

static void silence_arm(struct sse *sse)
{
        struct timeval wait = usec_to_timeval(SILENT_USEC);

        event_add(sse->timer, &wait);
}

/* Other starts may wait for this one to be over, so it does not wait for a client that says nothing: the
 * backend's first answer shows that it is ready, but only where it is asked something. */
static void on_silent(struct sse *sse)
{
        struct worker *worker = sse->stdio->worker;

        if (sse->stdio->handshake.state != HANDSHAKE_NONE || !life_is_starting(worker->life))
                return;
        if (backend_is_executed(worker->backend))
                life_ready(worker->life);
        else
                silence_arm(sse);
}

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct sse *sse = userdata;

        if (sse->stream)
                on_silent(sse);
        else
                ended(sse);
}

/* Its client left, or did not read. What it asked for goes on until the client is detached, from the loop. */
static void on_lost(struct stream *stream, void *userdata)
{
        struct sse *sse = userdata;
        struct stdio *stdio = sse->stdio;

        while (waiting_forget_stream(&stdio->handshake.waiting, stream))
                ;
        for (struct call *call = calls_next(stdio->calls, NULL); call; call = calls_next(stdio->calls, call))
                if (call->stream == stream)
                        call->stream = NULL;
        if (sse->client)
                sse->client->get_stream = NULL;
        sse->stream = NULL;
        event_active(sse->timer, EV_TIMEOUT, 0);
}

/* Its client does not read: what it asked for is answered here, and it is let go. */
static void on_full(struct stream *stream, void *userdata)
{
        const struct failure failure = { .reason = REASON_overloaded, .detail = "its client did not read what came of it" };
        struct sse *sse = userdata;

        stdio_stream_fail(sse->stdio, stream, &failure);
        if (!sse->stream)
                return;
        on_lost(stream, sse);
        stream_end(stream);
}

static const struct stream_ops stream_ops = { .on_lost = on_lost, .on_full = on_full };

static void sse_end(struct sse *sse)
{
        if (sse->client)
                sse->client->get_stream = NULL;
        if (sse->stream)
                stream_end(sse->stream);
        sse_free(sse);
}

void sse_client_left(struct stdio *stdio, struct client *client)
{
        struct sse *sse, *next;

        for (sse = TAILQ_FIRST(&stdio->sses); sse; sse = next) {
                next = TAILQ_NEXT(sse, entry);
                if (sse->client == client)
                        sse_end(sse);
        }
}

void sse_end_all(struct stdio *stdio)
{
        while (!TAILQ_EMPTY(&stdio->sses))
                sse_end(TAILQ_FIRST(&stdio->sses));
}

/* ---- GET /sse ---- */

/* Where the client posts to, on the address it came by: the router tells what stands before /sse. */
static int endpoint_uri(const struct exchange *exchange, char **ret)
{
        struct http_slice prefix = { "", 0 };

        if (http_head_get(exchange->head, "Envmux-Prefix", &prefix) == 0 && prefix.size > PREFIX_BYTES_MAX)
                return -EMSGSIZE;
        int n = asprintf(ret, "%.*s/message?sessionId=%s", (int) prefix.size, prefix.data, exchange->transport_id);

        return n < 0 ? -ENOMEM : 0;
}

static int sse_new(struct stdio *stdio, struct exchange *exchange, struct sse **ret)
{
        struct sse *sse = calloc(1, sizeof(*sse));

        if (!sse)
                return -ENOMEM;
        sse->stdio = stdio;
        STR_COPY(sse->id, exchange->transport_id);
        sse->timer = evtimer_new(stdio->worker->base, on_timer, sse);
        int r = sse->timer ? stream_new(exchange, STREAM_SSE, stdio->stream_bytes_max, &stream_ops, sse, &sse->stream)
                           : -ENOMEM;

        if (r < 0) {
                if (sse->timer)
                        event_free(sse->timer);
                free(sse);
                return r;
        }
        TAILQ_INSERT_TAIL(&stdio->sses, sse, entry);
        sse->stream->n_calls = 1; /* so that no response is the last one */
        exchange->endpoint_data = sse->stream;
        exchange_uncount(exchange);
        silence_arm(sse);
        *ret = sse;
        return 0;
}

void sse_get_end(struct stdio *stdio, struct exchange *exchange)
{
        struct worker *worker = stdio->worker;
        _cleanup_free_ char *uri = NULL;
        struct sse *sse;

        if (stdio->failure)
                return exchange_gone(exchange);
        if (life_is_replaced(worker->life)) { /* its initialize would be: then it is too late to send it elsewhere */
                exchange_gone(exchange);
                return life_end(worker->life, GONE_REPLACED, REASON_replaced, NULL);
        }
        if (!exchange->is_minted)
                return exchange_refuse(exchange, REASON_session_required, NULL, NULL, 0);
        if (clients_count(worker->clients) > 0 && worker->spec->attach == ATTACH_REJECT)
                return exchange_refuse(exchange, REASON_session_attached, NULL, NULL, 0);
        if (endpoint_uri(exchange, &uri) < 0 || sse_new(stdio, exchange, &sse) < 0)
                return exchange_refuse(exchange, REASON_internal, NULL, NULL, 0);
        tell_alias(sse, false);
        stream_endpoint(sse->stream, sse->id, uri);
}

void sse_attached(struct stdio *stdio, struct stream *stream, struct client *client)
{
        struct sse *sse;

        TAILQ_FOREACH(sse, &stdio->sses, entry) {
                if (sse->stream != stream)
                        continue;
                sse->client = client;
                stream->client = client;
                client->get_stream = stream;
        }
}

/* ---- POST /message ---- */

static struct sse *sse_of_message(const struct stdio *stdio, const struct exchange *exchange)
{
        struct http_slice encoded;
        char id[IPC_KEY_SIZE];

        if (target_query_get(exchange->query, "sessionId", &encoded) < 0 ||
            target_decode(encoded, true, id, sizeof(id)) < 0)
                return NULL;
        return sse_find(stdio, id);
}

int sse_message_begin(struct stdio *stdio, struct exchange *exchange)
{
        if (!sse_of_message(stdio, exchange)) {
                exchange_refuse(exchange, REASON_unknown_session, NULL, NULL, 0);
                return -ENOENT;
        }
        return post_open(stdio, exchange);
}

static unsigned count_requests(const struct jsonrpc_message *message)
{
        struct json_slice element;
        unsigned n = message->kind == JSONRPC_REQUEST;

        for (size_t cursor = 0; message->kind == JSONRPC_BATCH && json_next(message->whole, &cursor, NULL, &element) > 0;) {
                struct jsonrpc_message single;

                if (jsonrpc_parse_value(element, &single) >= 0 && single.kind == JSONRPC_REQUEST)
                        n++;
        }
        return n;
}

static void refuse(struct sse *sse, enum reason reason, const char *detail, const struct jsonrpc_message *message)
{
        const struct failure failure = { .reason = reason, .detail = detail };

        forward_refuse(sse->stream, message, &failure);
}

static void take_initialize(struct stdio *stdio, struct sse *sse, const struct jsonrpc_message *message)
{
        struct client *client;

        if (sse->client)
                refuse(sse, REASON_bad_request, "this client is initialized already", message);
        else if (stdio->era == ERA_MODERN)
                refuse(sse, REASON_modern_only, NULL, message);
        else if (handshake_client(sse->id, message, &client) < 0)
                refuse(sse, REASON_internal, NULL, message);
        else
                handshake_begin(stdio, client, sse->stream, message);
}

/* The POST was answered already: whatever there is to say about the message comes on the stream. */
static void take(struct stdio *stdio, struct sse *sse, const struct jsonrpc_message *message)
{
        unsigned n_requests = count_requests(message);

        sse->stream->n_calls += n_requests;
        if (message->kind == JSONRPC_REQUEST && jsonrpc_method_is(message, "initialize"))
                take_initialize(stdio, sse, message);
        else if (sse->client)
                forward_message(stdio, sse->client, sse->stream, message);
        else if (n_requests > 0)
                refuse(sse, REASON_session_required, NULL, message);
}

void sse_message_end(struct stdio *stdio, struct exchange *exchange)
{
        struct sse *sse = sse_of_message(stdio, exchange);
        struct jsonrpc_message message;
        struct post *post;

        /* The stream may have ended while the body came in. */
        if (!sse) {
                post_free(stdio, TAKE_PTR(exchange->endpoint_data));
                return exchange_refuse(exchange, REASON_unknown_session, NULL, NULL, 0);
        }
        if (post_take(stdio, exchange, &post, &message) < 0)
                return;
        exchange_respond(exchange, 202, "text/plain", NULL, "Accepted", 8);
        take(stdio, sse, &message);
        post_free(stdio, post);
        link_status_changed(stdio->worker->link);
}
