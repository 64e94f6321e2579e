/* Where the messages of one request, or of one GET, go to their client. A stream is the conversation; the
 * HTTP answer that carries it just now is its carrier (worker/carrier.h). The head is held back until the
 * first message shows which of the two it is: responses that come alone are plain JSON, anything else
 * begins an event stream. Comments keep a silent connection alive.
 *
 * A stream that can be resumed (MCP 2025-11-25, Streamable HTTP, "Resumability and Redelivery") outlives its
 * carrier: what is said while it has none waits in its log (worker/event_store.h), and when it has ended it
 * stays a while for a client that did not hear the end. It begins soon, so that a long call can be resumed
 * from its first moments. */
#pragma once

#include "worker/carrier.h"
#include "worker/event_store.h"

enum stream_kind {
        STREAM_SINGLE, /* POST of one request */
        STREAM_BATCH,  /* POST of several: their responses are one array, as long as nothing else is said */
        STREAM_GET,    /* GET: events without an end */
        STREAM_SSE,    /* GET of the 2024-11-05 transport: every response of its client comes here too */
};

struct batch;
struct client;
struct stream;

struct stream_ops {
        /* The stream has ended otherwise than by stream_respond: its client left, or did not read.
         * The stream is freed after it. */
        void (*on_lost)(struct stream *stream, void *userdata);
        /* Only where it can be resumed. It has no carrier any more, and goes on. */
        void (*on_detached)(struct stream *stream, void *userdata);
        /* No room for a further event. The responses due are to be failed. Never of a STREAM_GET. */
        void (*on_full)(struct stream *stream, void *userdata);
};

/* How streams of a session are resumed. */
struct stream_resumption {
        struct event_store *events;
        usec_t retry_usec;          /* how long a client waits before it comes back */
        usec_t connection_usec_max; /* after this long the connection is ended, for the client to come back
                                     * (SEP-1699); 0: never */
};

struct stream {
        struct carrier *carrier;     /* NULL: detached */
        struct client *client;       /* whose stream it is; the owner of the stream keeps this true */
        enum stream_kind kind;
        unsigned n_calls;            /* responses that are still due */
        bool is_begun;               /* its head was sent: it is an event stream */
        bool is_finished;            /* nothing more will be said */
        size_t pending_bytes_max;
        struct carrier_session session; /* transport_id NULL: not an answer to initialize */
        struct batch *batch;         /* responses of a batch that has not begun */
        const struct stream_resumption *resumption; /* NULL: it ends with its carrier */
        struct event_log *log;
        struct event *timer;         /* of its connection; once it has finished, of what is kept of it */
        const struct stream_ops *ops;
        void *userdata;
};

/* pending_bytes_max bounds what may wait for a slow reader before one more message is added. A GET
 * stream begins at once. The exchange's endpoint_data is the caller's business. */
int stream_new(struct exchange *exchange, enum stream_kind kind, size_t pending_bytes_max, const struct stream_ops *ops,
               void *userdata, struct stream **ret);

/* The same for a client that can resume. resumption is kept by reference. */
int stream_new_resumable(struct exchange *exchange, enum stream_kind kind, const struct stream_resumption *resumption,
                         const struct stream_ops *ops, void *userdata, struct stream **ret);

/* Its head was sent: it is an event stream. */
bool stream_is_begun(const struct stream *stream);

/* Somebody reads it just now. */
bool stream_is_connected(const struct stream *stream);

/* Begins a STREAM_SSE: its first event, which tells where its client sends messages to. uri has no line end. */
void stream_endpoint(struct stream *stream, const char *id, const char *uri);

/* One message that is no response to it: begins an event stream. False when it was not taken: the client
 * did not read what it already got and the GET stream is gone (on_lost was called), or, of one that can be
 * resumed, it has finished. Where there is no room for it, the calls of the stream fail (on_full) and the
 * message goes with them; a GET stream that can be resumed gives up its oldest messages. */
bool stream_message(struct stream *stream, const char *message, size_t size);

/* One of the responses due. The last one ends the answer and frees the stream, or leaves it to be resumed:
 * to the caller it is gone. */
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

/* The client left. Frees the stream, after on_lost, or detaches it. The exchange is not touched. */
void stream_lost(struct stream *stream);

/* The exchange has drained: more may be sent. */
void stream_drained(struct stream *stream);

/* exchange carries the stream from now on, beginning with what came after the event of that number; a
 * carrier that it still has is ended. 0; -ESTALE: not all of that is kept; positive: it had been heard to
 * its end. The exchange is the caller's unless 0. */
int stream_resume(struct stream *stream, struct exchange *exchange, uint64_t number);

/* The number after which nothing was sent yet. */
uint64_t stream_sent_number(const struct stream *stream);

/* Its client has left for good: nothing is kept for it. What is on its way still goes out. The stream's
 * calls have ended. */
void stream_forget_client(struct stream *stream);

/* For the end of the process: frees it, whatever it is at. */
struct stream *stream_free(struct stream *stream);
