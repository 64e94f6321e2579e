/* Requests of clients that the backend has not answered yet. Each has two names: the client's id, and
 * the id on the wire to the backend, which is the same bytes unless several clients could use it; the
 * same for progress tokens. */
#pragma once

#include "common/json_scan.h"
#include "common/time_util.h"

#include <event2/event.h>
#include <sys/queue.h>

#define CALLS_MAX 1024u
#define TOKEN_BYTES_MAX 4096u /* of an id or a progress token: they are kept while the backend is at it */

struct client;
struct listen;
struct stream;

/* A JSON token's own copy. size 0: none. */
struct token {
        char *data;
        size_t size;
};

struct call {
        TAILQ_ENTRY(call) entry;
        uint64_t serial;
        struct client *client;      /* whose it is; NULL once that client has left */
        struct stream *stream;      /* where its messages go; NULL: nobody waits any more */
        struct token id, wire_id;
        struct token progress, wire_progress; /* size 0: it asked for no progress */
        usec_t deadline_usec;
        bool is_initialize;
        bool is_modern;             /* of MCP 2026-07-28: it stands alone, client is NULL */
        bool is_own;                /* the worker's: there is no client to it */
        int log_level;              /* modern: the rank from which on it takes log messages, -1: none (modern_check.h) */
        char *handle;               /* modern: the key of the state that the request carries; NULL: none */
        struct listen *listen;      /* modern: its filter, where it is a subscriptions/listen; freed with the call */
        bool is_held;               /* holds the session from being idle although its client left */
};

struct calls;

/* on_deadline: the call's time is over; it is still in the table and is to be freed by the callee. */
int calls_new(struct event_base *base, void (*on_deadline)(struct call *call, void *userdata), void *userdata,
              struct calls **ret);
/* Frees every call in it as well. */
struct calls *calls_free(struct calls *calls);

/* Adds a call under the client's id and progress token (size 0: none). They go on the wire as they
 * are when verbatim is asked for and nothing in flight has them; else as fresh ones of the same JSON
 * type. -ENOBUFS: CALLS_MAX are in flight; -E2BIG: one of them is longer than TOKEN_BYTES_MAX. */
int calls_add(struct calls *calls, struct json_slice id, struct json_slice progress, bool verbatim,
              usec_t deadline_usec, struct call **ret);
void calls_remove(struct calls *calls, struct call *call);

/* By what the backend says. NULL when none is in flight under that name. */
struct call *calls_by_wire_id(const struct calls *calls, struct json_slice id);
struct call *calls_by_wire_progress(const struct calls *calls, struct json_slice token);
/* By what a client says; with is_awaited only a call that somebody still waits for. */
struct call *calls_by_client_id(const struct calls *calls, const struct client *client, struct json_slice id,
                                bool is_awaited);
struct call *calls_by_serial(const struct calls *calls, uint64_t serial);

/* Walks, oldest first: NULL gives the first. */
struct call *calls_next(const struct calls *calls, const struct call *after);
unsigned calls_count(const struct calls *calls);

static inline struct json_slice token_slice(const struct token *token)
{
        return (struct json_slice) { .data = token->data, .size = token->size };
}
bool token_equal(const struct token *a, const struct token *b);
