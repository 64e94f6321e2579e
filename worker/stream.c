#include "worker/stream.h"

#include "worker/exchange.h"

#include <stdio.h>

static void keepalive_arm(struct stream *stream)
{
        struct timeval wait = usec_to_timeval(STREAM_KEEPALIVE_USEC);

        event_add(stream->keepalive, &wait);
}

static void add_session_headers(const struct stream *stream)
{
        const struct stream_session *session = &stream->session;
        struct http_conn *client = stream->exchange->client;

        if (!session->transport_id)
                return;
        (void) http_conn_add_header(client, "Mcp-Session-Id", session->transport_id);
        (void) http_conn_add_header(client, "Envmux-Session", session->key);
        (void) http_conn_add_headerf(client, "Envmux-Generation", "%llu", (unsigned long long) session->generation);
        (void) http_conn_add_header(client, "Envmux-Attach", session->attach);
}

static void begin(struct stream *stream)
{
        struct http_conn *client = stream->exchange->client;

        if (stream->is_begun)
                return;
        stream->is_begun = true;
        (void) http_conn_start_response(client, 200);
        (void) http_conn_add_header(client, "Content-Type", "text/event-stream");
        (void) http_conn_add_header(client, "Cache-Control", "no-cache, no-transform");
        (void) http_conn_add_header(client, "X-Accel-Buffering", "no");
        add_session_headers(stream);
        (void) http_conn_begin_body(client, HTTP_FRAMING_CHUNKED, 0);
}

static void send_comment(struct stream *stream)
{
        static const char comment[] = ": keepalive\n\n";

        exchange_send(stream->exchange, comment, sizeof(comment) - 1);
}

/* Silence of this length begins the stream: clients give up on a head that does not come. */
static void on_keepalive(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct stream *stream = userdata;

        begin(stream);
        if (!http_conn_is_full(stream->exchange->client))
                send_comment(stream);
        keepalive_arm(stream);
}

static void stream_free(struct stream *stream)
{
        event_free(stream->keepalive);
        free(stream);
}

int stream_new(struct exchange *exchange, enum stream_kind kind, size_t pending_bytes_max, const struct stream_ops *ops,
               void *userdata, struct stream **ret)
{
        struct stream *stream = calloc(1, sizeof(*stream));

        if (!stream)
                return -ENOMEM;
        stream->exchange = exchange;
        stream->kind = kind;
        stream->pending_bytes_max = pending_bytes_max;
        stream->ops = ops;
        stream->userdata = userdata;
        stream->keepalive = evtimer_new(exchange->worker->base, on_keepalive, stream);
        if (!stream->keepalive) {
                free(stream);
                return -ENOMEM;
        }
        keepalive_arm(stream);
        if (kind == STREAM_GET) {
                begin(stream);
                send_comment(stream); /* a head alone would wait for the first message */
        }
        *ret = stream;
        return 0;
}

static void send_event(struct stream *stream, const char *message, size_t size)
{
        static const char before[] = "event: message\ndata: ", after[] = "\n\n";

        begin(stream);
        exchange_send(stream->exchange, before, sizeof(before) - 1);
        exchange_send(stream->exchange, message, size);
        exchange_send(stream->exchange, after, sizeof(after) - 1);
        keepalive_arm(stream);
}

/* A reader that is this far behind gets nothing more; what it can resume with comes from elsewhere. */
static bool is_stuck(const struct stream *stream)
{
        return http_conn_pending_bytes(stream->exchange->client) > stream->pending_bytes_max;
}

static void drop(struct stream *stream)
{
        struct exchange *exchange = stream->exchange;

        stream_lost(stream);
        exchange_abort(exchange);
}

bool stream_message(struct stream *stream, const char *message, size_t size)
{
        if (is_stuck(stream)) {
                drop(stream);
                return false;
        }
        send_event(stream, message, size);
        return true;
}

/* A whole answer in one piece, with the session's headers where they are due. */
static void send_json(struct stream *stream, const char *response, size_t size)
{
        struct http_conn *client = stream->exchange->client;

        (void) http_conn_start_response(client, 200);
        (void) http_conn_add_header(client, "Content-Type", "application/json");
        add_session_headers(stream);
        (void) http_conn_begin_body(client, HTTP_FRAMING_LENGTH, size);
        exchange_send(stream->exchange, response, size);
}

static void finish(struct stream *stream)
{
        struct exchange *exchange = stream->exchange;

        stream_free(stream);
        exchange_end(exchange);
}

void stream_respond(struct stream *stream, const char *response, size_t size)
{
        stream->n_calls--;
        if (!stream->is_begun && stream->kind == STREAM_SINGLE) {
                send_json(stream, response, size);
                finish(stream);
                return;
        }
        send_event(stream, response, size);
        if (stream->n_calls == 0)
                finish(stream);
}

void stream_fail(struct stream *stream, const struct failure *failure, struct json_slice id)
{
        _cleanup_free_ char *body = NULL;
        size_t size;

        if (!stream->is_begun && stream->kind == STREAM_SINGLE) {
                struct exchange *exchange = stream->exchange;

                stream_free(stream);
                exchange_fail(exchange, failure, id.data, id.size);
        } else if (failure_to_jsonrpc(failure, id.data, id.size, &body, &size) < 0) {
                drop(stream);
        } else {
                stream_respond(stream, body, size);
        }
}

void stream_gone(struct stream *stream)
{
        struct exchange *exchange = stream->exchange;

        assert(!stream->is_begun && stream->kind == STREAM_SINGLE);
        stream_free(stream);
        exchange_gone(exchange);
}

void stream_forgo(struct stream *stream)
{
        stream->n_calls--;
        if (stream->n_calls == 0)
                stream_end(stream);
}

void stream_end(struct stream *stream)
{
        begin(stream);
        finish(stream);
}

void stream_lost(struct stream *stream)
{
        stream->ops->on_lost(stream, stream->userdata);
        stream_free(stream);
}
