/* Where the messages of one request, or of one GET, go to their client. A stream is the conversation; the
 * HTTP answer that carries it just now is its carrier (worker/carrier.h). The head is held back until the
 * first message shows which of the two it is: a response that comes alone is plain JSON, anything else
 * begins an event stream. Comments keep a silent connection alive. */
#pragma once

#include "worker/carrier.h"

#include <sys/queue.h>

enum stream_kind {
        STREAM_SINGLE, /* POST of one request */
        STREAM_BATCH,  /* POST of several: always events */
        STREAM_GET,    /* GET: events without an end */
        STREAM_SSE,    /* GET of the 2024-11-05 transport: every response of its client comes here too */
};

struct client;
struct stream;

struct stream_ops {
        /* The stream has ended otherwise than by stream_respond: its client left, or did not read.
         * The stream is freed after it. */
        void (*on_lost)(struct stream *stream, void *userdata);
};

struct stream {
        struct carrier *carrier;
        struct client *client;       /* whose stream it is; the owner of the stream keeps this true */
        enum stream_kind kind;
        unsigned n_calls;            /* responses that are still due */
        size_t pending_bytes_max;
        struct carrier_session session; /* transport_id NULL: not an answer to initialize */
        const struct stream_ops *ops;
        void *userdata;
};

/* pending_bytes_max bounds what may wait for a slow reader before one more message is added. A GET
 * stream begins at once. The exchange's endpoint_data is the caller's business. */
int stream_new(struct exchange *exchange, enum stream_kind kind, size_t pending_bytes_max, const struct stream_ops *ops,
               void *userdata, struct stream **ret);

/* Its head was sent: it is an event stream. */
bool stream_is_begun(const struct stream *stream);

/* Begins a STREAM_SSE: its first event, which tells where its client sends messages to. uri has no line end. */
void stream_endpoint(struct stream *stream, const char *id, const char *uri);

/* One message that is no response to it: begins an event stream. False when the client did not read
 * what it already got: the stream is gone (on_lost was called). */
bool stream_message(struct stream *stream, const char *message, size_t size);

/* One of the responses due. The last one ends the answer and frees the stream. */
void stream_respond(struct stream *stream, const char *response, size_t size);

/* stream_respond with the HTTP status of an answer that has not begun and is plain JSON. */
void stream_respond_status(struct stream *stream, unsigned status, const char *response, size_t size);

/* Our own failure as that response; a stream that has not begun gives it the HTTP status that fits. */
void stream_fail(struct stream *stream, const struct failure *failure, struct json_slice id);

/* GONE in place of the only response due: the router asks the supervisor again. Frees the stream, which
 * has not begun. */
void stream_gone(struct stream *stream);

/* One of the responses due will never come, and the client knows (it cancelled the request). The last
 * one ends the answer, as an event stream, and frees the stream. */
void stream_forgo(struct stream *stream);

/* Ends an event stream and frees it. */
void stream_end(struct stream *stream);

/* The client left: frees the stream, after on_lost. The exchange is not touched. */
void stream_lost(struct stream *stream);
