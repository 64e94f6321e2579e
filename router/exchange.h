/* One client request and its answer.
 *
 *   idle → routing → forwarding → idle                      a request to a live session
 *   idle → routing → peeking → asking → forwarding → idle   an initialize, or a key that the body names
 *   idle → routing → collecting → asking → idle             the session API
 *   any  → (refusing) → idle                                an answer of our own
 *
 * Bodies stream both ways; what is kept of one is bounded. The request's head stays valid until its
 * answer has ended, so a request can be sent again to another worker while nothing of it was looked
 * at. With the end of the answer the exchange is over; what still comes of the request is the
 * engine's to throw away. */
#pragma once

#include "common/http/http.h"
#include "common/json_scan.h"
#include "common/reason.h"
#include "router/ask.h"
#include "router/body.h"
#include "router/key.h"
#include "router/route.h"
#include "router/upstream.h"

struct router;
struct resolve_answer;

#define PEEK_BYTES_MAX (1024 * 1024)  /* the longest initialize, and the longest body that names a key */
#define KEEP_BYTES_MAX (64 * 1024)    /* kept of a streamed body; also the longest body of the session API */
#define RETRIES_MAX 3                 /* workers that may turn one request away */

enum exchange_state {
        EXCHANGE_IDLE,       /* between requests */
        EXCHANGE_ROUTING,    /* a head is here: which way? */
        EXCHANGE_PEEKING,    /* the body comes in whole: is it an initialize, does it name a key? */
        EXCHANGE_COLLECTING, /* the body comes in whole, for the supervisor */
        EXCHANGE_ASKING,     /* the supervisor was asked; nothing is read meanwhile */
        EXCHANGE_FORWARDING, /* a worker has the request */
        EXCHANGE_REFUSING,   /* our failure waits for the body, which tells the id it answers */
        EXCHANGE_BROKEN,     /* an answer was cut off; the connection is about to close */
        EXCHANGE__MAX,
};

struct exchange {
        struct router *router;
        struct http_conn *client;
        enum exchange_state state;
        const struct http_head *head;
        struct server server;            /* a copy: the configuration may change meanwhile */
        struct route route;
        struct request_key key;
        const char *principal;
        bool is_modern;                  /* a stateless request (common/mcp.h), as far as was read */
        struct http_slice origin;        /* of the page that asks, allowed; size 0: none */
        bool is_ended;                   /* the whole request was received */
        struct body body;                /* what is kept of it */

        char minted[KEY_MINTED_SIZE];    /* the Mcp-Session-Id of an initialize; "" for other requests */

        /* of a request that may start a session */
        bool may_create;
        bool has_seed;
        int64_t seed;
        struct json_slice config;        /* inside body; size 0: none */

        struct asker asker;
        char session_id[IPC_ID_SIZE];
        bool is_created;                 /* this request started the session */
        bool is_over;                    /* the session ended before this request: 404, whatever it ended of */
        unsigned n_retries;
        struct upstream_conn *upstream;  /* NULL unless forwarding */

        bool is_event_stream;            /* the answer is one that an error event may be added to */
        char tail[4];                    /* its last bytes */
        struct failure_owned *refusal;   /* while refusing */
};

void exchange_init(struct exchange *e, struct router *router, struct http_conn *client);

/* Events of the client's connection. */
void exchange_on_head(struct exchange *e, const struct http_head *head);
void exchange_on_body(struct exchange *e, const void *data, size_t size);
void exchange_on_end(struct exchange *e);
void exchange_on_drained(struct exchange *e);
/* The request broke HTTP; status as http_conn_ops.on_error has it. */
void exchange_on_error(struct exchange *e, unsigned status, const char *why);

/* The client is gone, or the process ends: gives up everything, answers nothing. */
void exchange_abandon(struct exchange *e);

/* ---- for the files that carry an exchange through its states (peek, forward, session_api) ---- */

/* The one place where the state changes. */
void exchange_enter(struct exchange *e, enum exchange_state state);

/* The request's session: from the table, else by asking. */
void exchange_find_session(struct exchange *e);

/* The same from the table alone: false, and nothing was done, when it is not there. */
bool exchange_find_live(struct exchange *e);

/* Asks the supervisor; stale_id (NULL: none) is a session that turned the request away. */
void exchange_resolve(struct exchange *e, const char *stale_id);

/* Ends the exchange with an error of ours, in whatever state it is. */
void exchange_fail(struct exchange *e, const struct failure *failure);
void exchange_fail_reason(struct exchange *e, enum reason reason, const char *detail);

/* The same for a request that names no session: tells how it could. */
void exchange_fail_unnamed(struct exchange *e, enum reason reason);

/* The same where body_append did not keep what is needed: its -ENOBUFS or -ENOMEM. */
void exchange_fail_no_memory(struct exchange *e, int error);

/* The answer was sent to its end. */
void exchange_answered(struct exchange *e);

/* The id of the JSON-RPC request in the body; size 0 where it is not known. */
struct json_slice exchange_request_id(const struct exchange *e);
