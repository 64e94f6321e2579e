#include "worker/stream.h"

#include "worker/exchange.h"

static const struct carrier_session *session_of(const struct stream *stream)
{
        return stream->session.transport_id ? &stream->session : NULL;
}

bool stream_is_begun(const struct stream *stream)
{
        return carrier_is_begun(stream->carrier);
}

static void begin(struct stream *stream)
{
        if (!stream_is_begun(stream))
                carrier_begin(stream->carrier, session_of(stream));
}

/* Silence begins the stream: clients give up on a head that does not come. */
static void on_silence(void *userdata)
{
        struct stream *stream = userdata;

        begin(stream);
        carrier_comment(stream->carrier);
}

static void stream_free(struct stream *stream)
{
        carrier_free(stream->carrier);
        free(stream);
}

int stream_new(struct exchange *exchange, enum stream_kind kind, size_t pending_bytes_max, const struct stream_ops *ops,
               void *userdata, struct stream **ret)
{
        struct stream *stream = calloc(1, sizeof(*stream));

        if (!stream)
                return -ENOMEM;
        stream->kind = kind;
        stream->pending_bytes_max = pending_bytes_max;
        stream->ops = ops;
        stream->userdata = userdata;
        int r = carrier_new(exchange, on_silence, stream, &stream->carrier);

        if (r < 0) {
                free(stream);
                return r;
        }
        if (kind == STREAM_GET)
                on_silence(stream); /* a head alone would wait for the first message */
        *ret = stream;
        return 0;
}

void stream_endpoint(struct stream *stream, const char *id, const char *uri)
{
        begin(stream);
        carrier_endpoint(stream->carrier, id, uri);
}

static void send_event(struct stream *stream, const char *message, size_t size)
{
        begin(stream);
        carrier_event(stream->carrier, message, size);
}

/* The connection breaks: what was said on it cannot be completed. */
static void drop(struct stream *stream)
{
        struct carrier *carrier = TAKE_PTR(stream->carrier);

        stream_lost(stream);
        carrier_abort(carrier);
}

bool stream_message(struct stream *stream, const char *message, size_t size)
{
        /* A reader that is this far behind gets nothing more. */
        if (carrier_pending_bytes(stream->carrier) > stream->pending_bytes_max) {
                drop(stream);
                return false;
        }
        send_event(stream, message, size);
        return true;
}

static bool is_json(const struct stream *stream)
{
        return !stream_is_begun(stream) && stream->kind == STREAM_SINGLE;
}

void stream_respond(struct stream *stream, const char *response, size_t size)
{
        stream_respond_status(stream, 200, response, size);
}

void stream_respond_status(struct stream *stream, unsigned status, const char *response, size_t size)
{
        stream->n_calls--;
        if (is_json(stream)) {
                carrier_json(TAKE_PTR(stream->carrier), status, session_of(stream), response, size);
                stream_free(stream);
                return;
        }
        send_event(stream, response, size);
        if (stream->n_calls == 0)
                stream_end(stream);
}

void stream_fail(struct stream *stream, const struct failure *failure, struct json_slice id)
{
        _cleanup_free_ char *body = NULL;
        size_t size;

        if (is_json(stream)) {
                struct exchange *exchange = carrier_release(TAKE_PTR(stream->carrier));

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
        struct exchange *exchange = carrier_release(TAKE_PTR(stream->carrier));

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
        struct carrier *carrier;

        begin(stream);
        carrier = TAKE_PTR(stream->carrier);
        stream_free(stream);
        carrier_end(carrier);
}

void stream_lost(struct stream *stream)
{
        stream->ops->on_lost(stream, stream->userdata);
        stream_free(stream);
}
