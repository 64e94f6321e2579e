/* The endpoint for backends that speak MCP over standard input and output: the worker is their
 * Streamable HTTP server (MCP 2025-03-26, 2025-06-18, 2025-11-25). Shared by its files:
 *
 *   stdio_endpoint.c  the endpoint's calls: life, and one row per HTTP method
 *   stdio_calls.c     clients and the requests they wait for: how both end
 *   stdio_streams.c   streams of clients: which can be resumed, what becomes of their calls, GET
 *   post.c            POST: checks, body, what kind of message it is
 *   handshake.c       initialize: the first is forwarded, later ones are answered from its result
 *   attach.c          a client comes: policy, room, keys
 *   adopt.c           clients that did not initialize here; the worker's own initialize
 *   waiting.c         what came before the handshake was done
 *   revive.c          what a fresh backend needs so that clients of the last one notice nothing
 *   forward.c         messages to the backend, ids swapped where clients share them
 *   sse_clients.c     clients of the older HTTP+SSE transport (2024-11-05)
 *   deliver.c         messages of the backend to the stream that placement.c names
 *
 * and, for MCP 2026-07-28, where each request stands alone (worker/modern.h), the files modern_*.c. A backend
 * speaks one era: the first message that settles it pins the session.
 */
#pragma once

#include "common/jsonrpc.h"
#include "worker/asked.h"
#include "worker/backlog.h"
#include "worker/call.h"
#include "worker/client.h"
#include "worker/handshake.h"
#include "worker/placement.h"
#include "worker/sse_clients.h"
#include "worker/stdio_pipe.h"
#include "worker/stream.h"
#include "worker/tool_list.h"

enum tools_state {
        TOOLS_UNKNOWN, /* not asked, or they have changed since */
        TOOLS_TOLD,
        TOOLS_UNTOLD,  /* asked in vain */
};

/* What the endpoint of MCP 2026-07-28 knows beside its calls. */
struct modern {
        enum tools_state tools_state;
        struct tool_list tools;
        struct call *listing;           /* the worker's own tools/list, while it is under way */
        unsigned n_pages;               /* of that list so far */
        usec_t list_until_usec;         /* when it must be complete */
        bool is_outdated;               /* the tools changed while it was */
        usec_t listed_usec;
        TAILQ_HEAD(, parked) parked;    /* calls that wait for the list */
        unsigned n_parked;
        struct event *settle;           /* see modern_handles_settle; NULL in other sessions than those */
};

struct stdio {
        struct worker *worker;
        struct stdio_pipe *pipe;        /* NULL until the backend was spawned */
        enum backend_era era;           /* ERA_UNKNOWN until a message has pinned the backend to one */
        struct calls *calls;
        struct asked_list *asked;
        struct handshake handshake;
        struct modern modern;
        bool is_shared;                 /* a second client came: from then on no id goes on the wire as it is, since
                                         * answers to one that left may still come */
        struct backlog unattached;      /* what the backend said before any client was attached */
        const struct failure *failure;  /* set once the session has ended: the answer to everything */
        size_t body_bytes;              /* of request bodies that are being received */
        struct stream_resumption resumption; /* for clients whose revision has it */
        size_t stream_bytes_max;        /* what one slow client may leave unread */
        size_t half_bytes_max;          /* the session's byte budget, for each direction */
        struct sse_list sses;           /* open streams of the HTTP+SSE transport */
        struct event *broken;           /* the backend closed its output and has not exited yet */
};

/* ---- stdio_streams.c ---- */

extern const struct stream_ops stdio_stream_ops; /* userdata: struct stdio */

/* The stream that exchange is answered on, for client, with n_calls responses due: one that can be resumed where the client's revision
 * has that (2025-11-25 and later). The exchange's endpoint_data is set. */
int stdio_stream_new(struct stdio *stdio, struct exchange *exchange, enum stream_kind kind, struct client *client,
                     unsigned n_calls, struct stream **ret);

/* A GET of client, fresh or by Last-Event-ID. Answers or keeps the exchange. */
void stdio_stream_get(struct stdio *stdio, struct exchange *exchange, struct client *client);

/* Nothing is kept for client (NULL: for anyone) any more; their calls have ended. */
void stdio_streams_forget(struct stdio *stdio, const struct client *client);

/* ---- stdio_calls.c ---- */

/* The attached client an exchange speaks for: by its Mcp-Session-Id, or without one the only one
 * attached. 0, or the reason for which there is none. */
int stdio_client_of(const struct stdio *stdio, const struct exchange *exchange, struct client **ret,
                    enum reason *ret_reason);

/* Whether MCP-Protocol-Version, where it is given, names a revision that can be spoken here (Streamable
 * HTTP, "Protocol Version Header"). The negotiated one is always right; another one that exists is let
 * pass, as the SDKs do. */
bool stdio_version_is_fine(const struct stdio *stdio, const struct exchange *exchange);

/* A client leaves: whoever still waits hears failure, the backend hears which requests nobody waits
 * for, its keys end. Frees it. */
void stdio_client_leave(struct stdio *stdio, struct client *client, const struct failure *failure);

/* Takes a call out and releases what it holds. Its stream is not touched. */
void stdio_call_remove(struct stdio *stdio, struct call *call);

/* Every call of client (NULL: of anyone) ends with failure; is_told: the backend hears that nobody
 * waits for them. */
void stdio_calls_fail(struct stdio *stdio, const struct client *client, const struct failure *failure, bool is_told);

/* The call whose answer was lost ends with failure: by its id on the wire, else the only one that can have been
 * meant; nothing happens when there are several. */
void stdio_call_fail_lost(struct stdio *stdio, const struct id_scan *scan, const struct failure *failure);

/* The calls that stream waits for end with failure, and the backend hears of it. */
void stdio_stream_fail(struct stdio *stdio, const struct stream *stream, const struct failure *failure);

/* For calls_new: the call's time is over. */
void stdio_on_deadline(struct call *call, void *userdata);

/* ---- post.c ---- */

struct post;

/* Checks the head; 0 when a body may come (exchange->endpoint_data is then the post's), negative when
 * the exchange was answered. */
int post_begin(struct stdio *stdio, struct exchange *exchange);
/* post_begin for whatever Accept: the answer says nothing. */
int post_open(struct stdio *stdio, struct exchange *exchange);
void post_body(struct stdio *stdio, struct exchange *exchange, const void *data, size_t size);
void post_end(struct stdio *stdio, struct exchange *exchange);
void post_free(struct stdio *stdio, struct post *post);

/* Takes the whole body off the exchange: 0 with the message, as one line of the post that the caller frees;
 * negative when the exchange was answered because it is none. */
int post_take(struct stdio *stdio, struct exchange *exchange, struct post **ret, struct jsonrpc_message *ret_message);

/* ---- forward.c ---- */

/* A client's request: 0 and *ret in the calls table, its stream set; else the reason it was not sent. client
 * NULL: of nobody who could name it again, so that its id on the wire is always another. */
int forward_request(struct stdio *stdio, struct client *client, struct stream *stream,
                    const struct jsonrpc_message *message, struct call **ret, enum reason *ret_reason);
/* A modern request, under an id and a progress token of our own: every client counts from 0. */
int forward_modern(struct stdio *stdio, struct stream *stream, const struct jsonrpc_message *message,
                   usec_t deadline_usec, struct call **ret, enum reason *ret_reason);

/* The moment until which a request that may take usec is to be answered, the backend's start on top of it. */
usec_t forward_deadline(const struct stdio *stdio, usec_t usec);
void forward_notification(struct stdio *stdio, struct client *client, const struct jsonrpc_message *message);
/* Any message as it is. */
void forward_text(struct stdio *stdio, const char *text, size_t size);
void forward_response(struct stdio *stdio, const struct jsonrpc_message *message);

/* Any message, or the elements of a batch. stream has a response due for each request in it, NULL: there is
 * none. client NULL: one that stands for itself alone. */
void forward_message(struct stdio *stdio, struct client *client, struct stream *stream,
                     const struct jsonrpc_message *message);

/* The same that will not be sent: each response due on stream is the failure. */
void forward_refuse(struct stream *stream, const struct jsonrpc_message *message, const struct failure *failure);

/* Tells the backend that nobody waits for call any more; never for initialize. */
void forward_cancelled(struct stdio *stdio, const struct call *call, const char *why);

/* Bytes on their way to the backend: bodies being received, messages that wait for the handshake and lines it
 * has not read. */
size_t forward_pending_bytes(const struct stdio *stdio);

/* ---- deliver.c ---- */

/* One line of the backend's standard output. */
void deliver_line(struct stdio *stdio, char *line, size_t size);

/* Stops or starts reading standard output by how much waits for slow clients. */
void deliver_throttle(struct stdio *stdio);

/* A stream to client has opened: what waited for one goes there. */
void deliver_backlog(struct client *client, struct stream *stream);
