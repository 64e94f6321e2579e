#include "worker/stdio_endpoint.h"

#include "worker/exchange.h"
#include "worker/idle.h"
#include "worker/log_ring.h"

#define RESUMABLE_FROM "2025-11-25" /* older clients choke on an event without data */

/* ---- what becomes of the calls of a stream ---- */

/* A client that leaves does not cancel in these revisions: its calls go on, and keep the session busy until
 * they are answered. */
static void calls_hold(struct stdio *stdio, const struct stream *stream, bool is_lost)
{
        for (struct call *call = calls_next(stdio->calls, NULL); call; call = calls_next(stdio->calls, call)) {
                if (call->stream != stream)
                        continue;
                if (is_lost)
                        call->stream = NULL;
                if (call->is_held)
                        continue;
                call->is_held = true;
                idle_hold(stdio->worker->idle);
        }
}

static void on_lost(struct stream *stream, void *userdata)
{
        struct stdio *stdio = userdata;

        if (stream->kind == STREAM_GET)
                stream->client->get_stream = NULL;
        else if (!waiting_forget_stream(&stdio->handshake.waiting, stream))
                calls_hold(stdio, stream, true);
}

static void on_detached(struct stream *stream, void *userdata)
{
        calls_hold(userdata, stream, false);
}

static void on_full(struct stream *stream, void *userdata)
{
        struct failure failure = { .reason = REASON_overloaded, .detail = "what it said had to wait for its client, and "
                                   "there is no more room" };

        stdio_stream_fail(userdata, stream, &failure);
}

const struct stream_ops stdio_stream_ops = { .on_lost = on_lost, .on_detached = on_detached, .on_full = on_full };

/* ---- making one ---- */

/* By what the client negotiated; a request that names an older revision is taken by its word. */
static bool is_resumable(const struct stdio *stdio, const struct exchange *exchange)
{
        struct http_slice header;
        char version[sizeof(RESUMABLE_FROM)];

        if (strcmp(stdio->handshake.version, RESUMABLE_FROM) < 0)
                return false;
        if (http_head_get(exchange->head, "MCP-Protocol-Version", &header) < 0)
                return true;
        if (header.size != sizeof(version) - 1)
                return false;
        memcpy(version, header.data, header.size);
        version[header.size] = '\0';
        return strcmp(version, RESUMABLE_FROM) >= 0;
}

int stdio_stream_new(struct stdio *stdio, struct exchange *exchange, enum stream_kind kind, struct client *client,
                     unsigned n_calls, struct stream **ret)
{
        int r = is_resumable(stdio, exchange)
                ? stream_new_resumable(exchange, kind, &stdio->resumption, &stdio_stream_ops, stdio, ret)
                : stream_new(exchange, kind, stdio->stream_bytes_max, &stdio_stream_ops, stdio, ret);

        if (r < 0)
                return r;
        (*ret)->client = client;
        (*ret)->n_calls = n_calls;
        exchange->endpoint_data = *ret;
        return 0;
}

/* ---- GET ---- */

static void listen_begin(struct stdio *stdio, struct exchange *exchange, struct client *client)
{
        struct stream *stream;

        if (stdio_stream_new(stdio, exchange, STREAM_GET, client, 0, &stream) < 0)
                return exchange_refuse(exchange, REASON_internal, NULL, NULL, 0);
        exchange_uncount(exchange);
        client->get_stream = stream;
        deliver_backlog(client, stream);
}

/* The client did not hear events that are no longer kept. News go on with what is left; calls that still go
 * on end with an error, since nobody can tell what is missing from them. The number to go on after. */
static uint64_t mind_the_gap(struct stdio *stdio, struct stream *stream, uint64_t number)
{
        struct failure failure = { .reason = REASON_unknown_event };
        uint64_t lost = event_log_lost(stream->log);

        if (number >= lost || stream->is_finished)
                return number;
        if (stream->kind != STREAM_GET)
                stdio_stream_fail(stdio, stream, &failure);
        log_ring_addf(stdio->worker->logs, LOG_STDOUT, "[%llu messages to a client that was away were dropped]",
                      (unsigned long long) (lost - number));
        return lost;
}

/* exchange is to carry stream from number on. */
static void carry_on(struct stdio *stdio, struct exchange *exchange, struct stream *stream, uint64_t number)
{
        exchange->endpoint_data = stream;
        calls_hold(stdio, stream, false); /* the connection that had, if it is still there, ends */
        exchange_uncount(exchange);
        int r = stream_resume(stream, exchange, number);

        if (r == 0)
                return;
        exchange->endpoint_data = NULL;
        if (r > 0)
                return exchange_respond(exchange, 204, NULL, NULL, NULL, 0); /* SSE: do not come back */
        exchange_refuse(exchange, r == -ESTALE ? REASON_unknown_event : REASON_internal, NULL, NULL, 0);
}

/* Resumption: the stream is that of the event, however it was begun, and only its own client's. */
static void resume(struct stdio *stdio, struct exchange *exchange, const struct client *client, struct http_slice id)
{
        struct event_log *log;
        uint64_t number;

        if (event_store_find(stdio->resumption.events, id, &log, &number) < 0)
                return exchange_refuse(exchange, REASON_unknown_event, NULL, NULL, 0);
        struct stream *stream = event_log_owner(log);

        if (stream->client != client || !stream->is_begun)
                return exchange_refuse(exchange, REASON_unknown_event, NULL, NULL, 0);
        carry_on(stdio, exchange, stream, mind_the_gap(stdio, stream, number));
}

void stdio_stream_get(struct stdio *stdio, struct exchange *exchange, struct client *client)
{
        struct stream *stream = client->get_stream;
        struct http_slice id;

        if (is_resumable(stdio, exchange) && http_head_get(exchange->head, "Last-Event-ID", &id) == 0)
                resume(stdio, exchange, client, id);
        else if (!stream)
                listen_begin(stdio, exchange, client);
        else if (stream_is_connected(stream))
                exchange_refuse(exchange, REASON_stream_conflict, NULL, NULL, 0);
        else
                carry_on(stdio, exchange, stream, stream_sent_number(stream));
}

void stdio_streams_forget(struct stdio *stdio, const struct client *client)
{
        struct event_log *log = event_store_next(stdio->resumption.events, NULL), *next;

        for (; log; log = next) {
                struct stream *stream = event_log_owner(log);

                next = event_store_next(stdio->resumption.events, log);
                if (!client || stream->client == client)
                        stream_forget_client(stream);
        }
}
