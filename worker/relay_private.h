/* What the files of a relay share:
 *
 *   relay.c             its life, and the request on its way to the backend
 *   relay_answer.c      what the backend answers, on its way to the client
 *   relay_events.c      …as an event stream: kept alive, and ended with an error that its client can read
 *   relay_answered.c    …of which it is known whether the response has passed; what becomes of a call without it
 *   relay_initialize.c  …to `initialize`, which attaches the client or does not
 *   relay_single.c      …in a session of a single request, which ends with it unless it gives out what leads back
 *   relay_redirect.c    …as a redirect to the other spelling of its path */
#pragma once

#include "common/event_reader.h"
#include "worker/event_tail.h"
#include "worker/id_scan.h"
#include "worker/relay.h"

struct sse_reader;

struct relay {
        TAILQ_ENTRY(relay) entry;
        struct http_endpoint *endpoint;
        struct exchange *exchange;    /* NULL: its client left, and the backend is not to notice */
        struct http_conn *backend;    /* NULL until the backend listens, and once it broke off; see relay_await */
        char client_id[IPC_KEY_SIZE]; /* Mcp-Session-Id of the request, or the minted one; "" for none */

        struct http_adoption *adoption; /* the handshake that it waits for; else NULL */
        char *own_session;            /* the backend's session that was made for it alone; else NULL */

        struct evbuffer *retained;    /* the body so far: until the backend listens, and while is_retaining, to ask
                                       * again */
        bool is_retaining;
        struct id_scan id;            /* of the JSON-RPC request that the body is */
        bool is_request_complete;
        bool is_mcp;                  /* the MCP endpoint, not another path of the backend */
        bool is_modern;               /* stands alone: no session, and closing is cancelling */
        bool is_refused;              /* with refusal, when the request is here and its id is known */
        enum reason refusal;
        bool is_endless;              /* a stream of server messages: no deadline, and it keeps nothing alive */
        bool is_held;                 /* keeps the session from being idle though its client left */
        bool was_redirected;
        bool asked_with_slash;        /* the spelling of mcp_path that was sent: another relay may have changed it since */

        struct http_sse *sse;         /* the HTTP+SSE client whose stream (is_endless) or POST it is; NULL: none */
        bool is_accepted;             /* …its POST was */
        bool is_unread;               /* of such a POST's answer only the status is looked at */

        struct evbuffer *judged;      /* answer to `initialize` so far, until it shows what it is; else NULL */
        struct event_reader judged_events;
        int verdict;                  /* 1: a result, 0: an error, negative: not known */
        char version[CLIENT_VERSION_SIZE]; /* that it negotiates */
        struct evbuffer *single;      /* see relay_single_begin; else NULL */
        struct event_reader single_events;
        bool is_answering;            /* the response head went to the client */
        bool is_event_stream;
        struct event_tail tail;
        struct sse_reader *answers;   /* see relay_answered_begin; else NULL */
        bool is_answered;             /* the response has passed */
        struct evbuffer *partial;     /* the event that is not whole yet, and was not sent */
        bool is_torn;                 /* it is too long for that: a part of it was sent */
        struct event *keepalive;
        bool is_broken;               /* the backend closed early; broken_by: why, 0 or a negative errno */
        int broken_by;
        struct event *deadline;
};

extern const struct http_conn_ops relay_answer_ops;

/* The GET of an HTTP+SSE client, which the backend answered with events; not one of its POSTs, whatever that was
 * answered with. */
static inline bool relay_is_sse_stream(const struct relay *relay)
{
        return relay->sse && relay->is_endless && relay->is_event_stream;
}

/* Ends the connection to the backend. The exchange is the caller's then. */
void relay_free(struct relay *relay);

/* Connects and sends what there is of the request; the rest follows as it comes. */
int relay_send(struct relay *relay);

/* The backend broke the exchange off. If it is dying, its exit comes a moment after its sockets closed and
 * tells every relay more than this one could: that is waited for. */
void relay_break(struct relay *relay, int error);

/* relay_fail by reason alone; detail may be NULL. */
void relay_fail_reason(struct relay *relay, enum reason reason, const char *detail);

/* The backend's answer begins: its head goes to the client. attach_word is what exchange_add_session_headers
 * takes, NULL where the answer attaches nobody. False: it failed, and the relay is freed. */
bool relay_answer_begin(struct relay *relay, const struct http_head *head, const char *attach_word);

/* More of its body; the end of it is in relay_answer.c. May free the relay. */
void relay_answer_body(struct relay *relay, const void *data, size_t size);

/* ---- relay_redirect.c ---- */

/* A backend may spell its endpoint with the other slash, "/mcp" → "/mcp/" or the reverse, and send everyone
 * there. True when this answer is such a redirect and was followed: it never reaches the client, which would
 * be sent away from its session. */
bool relay_redirect(struct relay *relay, const struct http_head *head);

/* The part of it that is no relay's: whether a request for mcp_path, as it was spelt then, is sent to the other
 * spelling, which mcp_path has then. */
bool relay_path_follow(struct http_endpoint *endpoint, bool asked_with_slash, const struct http_head *head);

/* How mcp_path is spelt now. */
bool relay_path_has_slash(const char *path);

/* ---- relay_initialize.c ---- */

/* True when this is a successful answer to `initialize`: the three below get the body then. What it says
 * decides whether the client is attached: the head, which tells it so, waits until that is known. */
bool relay_initialize_begin(struct relay *relay, const struct http_head *head);
void relay_initialize_body(struct relay *relay, const void *data, size_t size);

/* The body is complete. True when its answer has begun; else the relay is freed. */
bool relay_initialize_end(struct relay *relay);

/* The client left before it was known: what the backend may have made for it is let go. */
void relay_initialize_gone(struct relay *relay);

/* ---- relay_single.c: these do nothing in a session of another kind than KEY_REQUEST ---- */

/* The answer is read as it passes: what it gives out (common/handle.h) must lead here before the client knows it.
 * One that is no event stream is held back until its end. */
void relay_single_begin(struct relay *relay);

/* True: it is held back. */
bool relay_single_body(struct relay *relay, const void *data, size_t size);
void relay_single_end(struct relay *relay);

/* The relay goes on without its client, and keeps the session busy in its place. */
void relay_leave(struct relay *relay);

/* ---- relay_answered.c ---- */

/* The answer is an event stream: responses that pass on it are noticed from now on, that to the relay's own request,
 * or, on a stream that was asked for by Last-Event-ID, any. */
void relay_answered_begin(struct relay *relay);
void relay_answered_read(struct relay *relay, const char *bytes, size_t size);

/* The stream of a call ends without its response, but its client can ask for the rest: true, and the relay stays
 * without a connection either way, so that the session is not taken for idle, until the response has passed
 * elsewhere or the deadline of the call. The exchange is the caller's then. False: nothing was done. */
bool relay_await(struct relay *relay);

/* ---- relay_events.c ---- */

/* True when the answer is an event stream that something may be added to: nothing has encoded it. */
bool relay_events_can_be_read(const struct http_head *head);

/* From now on comments fill its silence. */
void relay_events_begin(struct relay *relay);

/* Passes whole events on; the one that is not whole yet is held back, as far as it is not too long. */
void relay_events_pass(struct relay *relay, const void *data, size_t size);

/* The backend ended its stream: what was held back belongs to it. */
void relay_events_flush(struct relay *relay);

/* The backend is gone, the stream is not: an event of ours with the failure is its last. id is empty where
 * nobody waits for an answer. Frees the exchange. */
void relay_events_fail(struct relay *relay, const struct failure *failure, struct json_slice id);
