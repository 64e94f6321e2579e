/* A question of a router that cannot be answered yet: it waits for what becomes of a session, or in a
 * list of its asker's. It is gone when answered, when its router is, or at its deadline. */
#pragma once

#include "supervisor/session.h"

struct waiter;

struct waiter_ops {
        /* The session moved, or was launched. May end the waiter, or leave it waiting. */
        void (*on_change)(struct waiter *waiter, struct session *session);
        /* The session is a tombstone now; the waiter is in no list and must end or wait elsewhere. */
        void (*on_ended)(struct waiter *waiter, struct session *session);
        /* Nothing came in time: must answer and end. */
        void (*on_deadline)(struct waiter *waiter);
        void (*free)(struct waiter *waiter);
};

/* First member of the asker's own struct. */
struct waiter {
        TAILQ_ENTRY(waiter) of_list, of_peer;
        struct waiter_list *list;      /* NULL: in none */
        struct peer *peer;
        uint32_t cookie;               /* of the question */
        struct event *deadline;
        const struct waiter_ops *ops;
};

/* Begins to wait for at most timeout_usec on behalf of peer. */
int waiter_init(struct waiter *waiter, struct peer *peer, uint32_t cookie, usec_t timeout_usec,
                const struct waiter_ops *ops);

/* True when its peer has more questions waiting, this one included, than it may have clients. To be refused rather
 * than taken for a bug: its limit was lowered while they waited, and it asks again whatever its connection loses. */
bool waiter_is_surplus(const struct waiter *waiter);

/* Moves it to the end of list. */
void waiter_wait(struct waiter *waiter, struct waiter_list *list);
/* The same, to the front: for whoever has the first claim on what follows. */
void waiter_wait_first(struct waiter *waiter, struct waiter_list *list);

/* Moves all of one list to the end of another, in their order. */
void waiters_move(struct waiter_list *from, struct waiter_list *to);

/* Ends it: out of every list, and freed by its ops. */
void waiter_end(struct waiter *waiter);

/* Tells those who wait for session that it changed, or that it has become a tombstone. */
void waiters_changed(struct session *session);
void waiters_ended(struct session *session);

/* Ends those of a peer, unanswered. */
void waiters_drop_peer(struct peer *peer);
