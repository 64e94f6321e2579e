#include "worker/stream.h"

#include "common/jsonrpc.h"
#include "worker/batch.h"
#include "worker/exchange.h"

#define BEGIN_USEC (100 * USEC_PER_MSEC)           /* quick answers are plain JSON, others can be resumed */
#define KEEP_HEARD_USEC USEC_PER_MINUTE            /* an end that was sent may have been lost on its way */
#define KEEP_UNHEARD_USEC (5 * USEC_PER_MINUTE)

static void pump(struct stream *stream);

static const struct carrier_session *session_of(const struct stream *stream)
{
        return stream->session.transport_id ? &stream->session : NULL;
}

bool stream_is_begun(const struct stream *stream)
{
        return stream->is_begun;
}

bool stream_is_connected(const struct stream *stream)
{
        return stream->carrier;
}

/* A stream that has told its client no event id cannot be resumed. */
static bool can_resume(const struct stream *stream)
{
        return stream->log && stream->is_begun;
}

struct stream *stream_free(struct stream *stream)
{
        if (!stream)
                return NULL;
        carrier_free(stream->carrier);
        event_log_free(stream->log);
        if (stream->timer)
                event_free(stream->timer);
        batch_free(stream->batch);
        free(stream);
        return NULL;
}

/* ---- beginning ---- */

static void timer_arm(struct stream *stream, usec_t wait_usec)
{
        struct timeval wait = usec_to_timeval(wait_usec);

        event_add(stream->timer, &wait);
}

/* The head on the carrier at hand, and what its client resumes from. */
static void carrier_open(struct stream *stream, uint64_t number)
{
        char id[EVENT_ID_SIZE];

        carrier_begin(stream->carrier, session_of(stream));
        if (!stream->log)
                return;
        event_log_id(stream->log, number, id);
        carrier_prime(stream->carrier, id, stream->resumption->retry_usec);
        if (stream->resumption->connection_usec_max > 0)
                timer_arm(stream, stream->resumption->connection_usec_max);
}

/* What a batch has gathered becomes events. */
static void batch_unfold(struct stream *stream)
{
        struct json_slice array = batch_array(stream->batch), element;

        for (size_t cursor = 0; json_next(array, &cursor, NULL, &element) > 0;)
                carrier_event(stream->carrier, NULL, element.data, element.size);
        stream->batch = batch_free(stream->batch);
}

static void begin(struct stream *stream)
{
        if (stream->is_begun)
                return;
        stream->is_begun = true;
        carrier_open(stream, 0);
        if (stream->batch)
                batch_unfold(stream);
}

/* Silence begins the stream: clients give up on a head that does not come. */
static void on_silence(void *userdata)
{
        struct stream *stream = userdata;
        bool was_begun = stream->is_begun;

        begin(stream);
        if (was_begun || !stream->log)
                carrier_comment(stream->carrier);
}

static int make(struct exchange *exchange, enum stream_kind kind, const struct stream_ops *ops, void *userdata,
                struct stream **ret)
{
        struct stream *stream = calloc(1, sizeof(*stream));

        if (!stream)
                return -ENOMEM;
        stream->kind = kind;
        stream->ops = ops;
        stream->userdata = userdata;
        int r = carrier_new(exchange, on_silence, stream, &stream->carrier);

        if (r < 0) {
                stream_free(stream);
                return r;
        }
        *ret = stream;
        return 0;
}

void stream_endpoint(struct stream *stream, const char *id, const char *uri)
{
        begin(stream);
        carrier_endpoint(stream->carrier, id, uri);
}

int stream_new(struct exchange *exchange, enum stream_kind kind, size_t pending_bytes_max, const struct stream_ops *ops,
               void *userdata, struct stream **ret)
{
        int r = make(exchange, kind, ops, userdata, ret);

        if (r < 0)
                return r;
        (*ret)->pending_bytes_max = pending_bytes_max;
        if (kind == STREAM_GET)
                on_silence(*ret); /* a head alone would wait for the first message */
        return 0;
}

/* ---- without a connection ---- */

static void on_evict(void *owner)
{
        stream_free(owner);
}

/* Nobody reads a finished stream: it is kept for a client that did not hear its end. */
static void settle(struct stream *stream)
{
        if (!stream->client) {
                stream_free(stream);
                return;
        }
        timer_arm(stream, event_log_unsent(stream->log) ? KEEP_UNHEARD_USEC : KEEP_HEARD_USEC);
        event_log_rest(stream->log);
}

/* Its carrier is no more. */
static void detached(struct stream *stream)
{
        event_del(stream->timer);
        if (stream->is_finished)
                settle(stream);
        else
                stream->ops->on_detached(stream, stream->userdata);
}

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct stream *stream = userdata;
        struct carrier *carrier = TAKE_PTR(stream->carrier);

        if (!carrier) {
                stream_free(stream);
                return;
        }
        detached(stream);
        carrier_end(carrier);
}

int stream_new_resumable(struct exchange *exchange, enum stream_kind kind, const struct stream_resumption *resumption,
                         const struct stream_ops *ops, void *userdata, struct stream **ret)
{
        struct stream *stream;
        int r = make(exchange, kind, ops, userdata, &stream);

        if (r < 0)
                return r;
        stream->resumption = resumption;
        stream->timer = evtimer_new(exchange->worker->base, on_timer, stream);
        r = stream->timer ? event_log_new(resumption->events, on_evict, stream, &stream->log) : -ENOMEM;
        if (r < 0) {
                stream_free(stream);
                return r;
        }
        if (kind == STREAM_GET)
                begin(stream);
        else
                carrier_wait(stream->carrier, BEGIN_USEC);
        *ret = stream;
        return 0;
}

int stream_resume(struct stream *stream, struct exchange *exchange, uint64_t number)
{
        struct carrier *carrier, *old;
        int r;

        if (stream->is_finished && number == event_log_newest(stream->log))
                return 1;
        r = carrier_new(exchange, on_silence, stream, &carrier);
        if (r < 0)
                return r;
        r = event_log_rewind(stream->log, number);
        if (r < 0) {
                carrier_free(carrier);
                return r;
        }
        event_del(stream->timer);
        old = stream->carrier;
        stream->carrier = carrier;
        carrier_open(stream, number);
        pump(stream); /* frees it where its client is gone, which then has not asked */
        if (old)
                carrier_end(old);
        return 0;
}

uint64_t stream_sent_number(const struct stream *stream)
{
        const struct log_event *next = event_log_unsent(stream->log);

        return next ? next->number - 1 : event_log_newest(stream->log);
}

void stream_forget_client(struct stream *stream)
{
        stream->client = NULL;
        if (!stream->carrier)
                stream_free(stream);
}

/* ---- what is said ---- */

/* One event now. */
static void send_event(struct stream *stream, uint64_t number, const char *text, size_t size)
{
        char id[EVENT_ID_SIZE];

        if (stream->log)
                event_log_id(stream->log, number, id);
        carrier_event(stream->carrier, stream->log ? id : NULL, text, size);
}

/* Sends what waits, as far as the connection takes it. A finished stream ends with its last event. */
static void pump(struct stream *stream)
{
        const struct log_event *event;

        while (!carrier_is_full(stream->carrier) && (event = event_log_unsent(stream->log))) {
                send_event(stream, event->number, event->text, event->size);
                event_log_sent(stream->log);
        }
        if (!stream->is_finished || event_log_unsent(stream->log))
                return;
        struct carrier *carrier = TAKE_PTR(stream->carrier);

        detached(stream);
        carrier_end(carrier);
}

/* Says one thing more on a stream that can be resumed. -ENOBUFS: there is no room. */
static int say(struct stream *stream, const char *text, size_t size, enum event_weight weight)
{
        bool is_direct = stream->carrier && !event_log_unsent(stream->log) && !carrier_is_full(stream->carrier);

        if (stream->carrier)
                begin(stream);
        int r = event_log_add(stream->log, text, size, weight);

        if (r >= 0 && stream->carrier) {
                pump(stream);
        } else if (r < 0 && is_direct) { /* who reads gets it, if it cannot be kept */
                event_log_skip(stream->log);
                send_event(stream, event_log_newest(stream->log), text, size);
                r = 0;
        }
        return r;
}

/* Its client left, or nothing can be said to it any more: what was said cannot be completed. */
static void drop(struct stream *stream)
{
        struct carrier *carrier = TAKE_PTR(stream->carrier);

        stream->ops->on_lost(stream, stream->userdata);
        stream_free(stream);
        if (carrier)
                carrier_abort(carrier);
}

static bool message_kept(struct stream *stream, const char *message, size_t size)
{
        if (stream->is_finished)
                return false;
        enum event_weight weight = stream->kind == STREAM_GET ? EVENT_NEWS : EVENT_MESSAGE;

        if (say(stream, message, size, weight) >= 0)
                return true;
        if (stream->kind == STREAM_GET)
                return false;
        stream->ops->on_full(stream, stream->userdata);
        return true;
}

bool stream_message(struct stream *stream, const char *message, size_t size)
{
        if (stream->log)
                return message_kept(stream, message, size);
        /* A reader that is this far behind gets nothing more. */
        if (carrier_pending_bytes(stream->carrier) > stream->pending_bytes_max) {
                if (stream->kind != STREAM_GET) {
                        stream->ops->on_full(stream, stream->userdata);
                        return true;
                }
                drop(stream);
                return false;
        }
        begin(stream);
        send_event(stream, 0, message, size);
        return true;
}

/* ---- responses ---- */

/* Everything was said. */
static void finish(struct stream *stream)
{
        struct carrier *carrier;

        stream->is_finished = true;
        if (stream->log && !stream->carrier) {
                settle(stream);
        } else if (stream->log) {
                pump(stream);
        } else {
                carrier = TAKE_PTR(stream->carrier);
                stream_free(stream);
                carrier_end(carrier);
        }
}

static void end_as_json(struct stream *stream, unsigned status, const char *response, size_t size)
{
        carrier_json(TAKE_PTR(stream->carrier), status, session_of(stream), response, size);
        stream_free(stream);
}

static void batch_end(struct stream *stream)
{
        _cleanup_(batch_freep) struct batch *batch = TAKE_PTR(stream->batch);
        struct json_slice array = batch_array(batch);

        end_as_json(stream, 200, array.data, array.size);
}

/* A response for which there is no room becomes an error that says so. */
static void say_response(struct stream *stream, const char *response, size_t size)
{
        struct failure failure = { .reason = REASON_overloaded, .detail = "no room to keep the response until its "
                                   "client reads it" };
        _cleanup_free_ char *body = NULL;
        struct jsonrpc_message message;
        size_t body_size;

        if (say(stream, response, size, EVENT_RESPONSE) >= 0)
                return;
        if (jsonrpc_parse(response, size, &message) >= 0 &&
            failure_to_jsonrpc(&failure, message.id.data, message.id.size, &body, &body_size) >= 0)
                (void) say(stream, body, body_size, EVENT_LAST_WORD);
}

void stream_respond(struct stream *stream, const char *response, size_t size)
{
        stream_respond_status(stream, 200, response, size);
}

void stream_respond_status(struct stream *stream, unsigned status, const char *response, size_t size)
{
        stream->n_calls--;
        if (!stream->is_begun && stream->kind == STREAM_SINGLE)
                return end_as_json(stream, status, response, size);
        if (!stream->is_begun && stream->kind == STREAM_BATCH &&
            batch_add(&stream->batch, response, size, stream->pending_bytes_max) >= 0) {
                if (stream->n_calls == 0)
                        batch_end(stream);
                return;
        }
        if (stream->log) {
                say_response(stream, response, size);
        } else {
                begin(stream);
                send_event(stream, 0, response, size);
        }
        if (stream->n_calls == 0)
                finish(stream);
}

/* Our own failure where an HTTP status cannot tell it any more. */
static void respond_failed(struct stream *stream, const struct failure *failure, struct json_slice id)
{
        _cleanup_free_ char *body = NULL;
        size_t size;

        if (failure_to_jsonrpc(failure, id.data, id.size, &body, &size) < 0)
                return drop(stream);
        if (!can_resume(stream))
                return stream_respond(stream, body, size);
        stream->n_calls--;
        (void) say(stream, body, size, EVENT_LAST_WORD);
        if (stream->n_calls == 0)
                finish(stream);
}

void stream_fail(struct stream *stream, const struct failure *failure, struct json_slice id)
{
        if (stream->is_begun || stream->kind != STREAM_SINGLE)
                return respond_failed(stream, failure, id);
        struct exchange *exchange = carrier_release(TAKE_PTR(stream->carrier));

        stream_free(stream);
        exchange_fail(exchange, failure, id.data, id.size);
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
        if (stream->n_calls > 0)
                return;
        if (stream->batch)
                batch_end(stream);
        else
                stream_end(stream);
}

void stream_end(struct stream *stream)
{
        if (stream->carrier)
                begin(stream);
        finish(stream);
}

void stream_lost(struct stream *stream)
{
        if (can_resume(stream)) {
                stream->carrier = carrier_free(stream->carrier);
                detached(stream);
                return;
        }
        stream->ops->on_lost(stream, stream->userdata);
        stream_free(stream);
}

void stream_drained(struct stream *stream)
{
        if (stream->log && stream->carrier)
                pump(stream);
}
