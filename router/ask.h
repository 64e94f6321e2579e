/* Questions to the supervisor that wait for an answer: a cookie each, a deadline each, sent again
 * when the supervisor comes back. Requests that ask the same thing share one question. */
#pragma once

#include "common/ipc.h"

#include <sys/queue.h>

#define ASK_BUCKETS 256

struct asks;
struct question;

/* Embedded in whoever waits. */
struct asker {
        TAILQ_ENTRY(asker) of_question, of_deadline;
        struct question *question; /* NULL: not waiting */
        usec_t deadline_usec;
        /* answer is NULL when none came in time, or none will. is_first: of those that share the
         * question, the one that asked it. The asker is free for another question. */
        void (*on_answer)(struct asker *asker, const struct ipc_message *answer, bool is_first);
};

LIST_HEAD(question_list, question);
TAILQ_HEAD(asker_list, asker);

struct ask_ops {
        /* 0: on its way; negative: not now, asks_resend follows. */
        int (*send)(enum ipc_type type, uint32_t cookie, const void *body, size_t body_size, const void *blob,
                    size_t blob_size, void *userdata);
};

struct asks {
        struct event *timer;
        const struct ask_ops *ops;
        void *userdata;
        uint32_t last_cookie;
        usec_t timeout_usec;
        struct question_list buckets[ASK_BUCKETS];
        struct asker_list deadlines; /* earliest first */
};

enum ask_flags {
        ASK_SHARED = 1 << 0, /* joins a question with the same bytes */
        ASK_ONCE = 1 << 1,   /* not idempotent: once sent, a lost connection answers with NULL */
};

/* asks must be zero-initialised and stay where it is. */
int asks_init(struct asks *asks, struct event_base *base, const struct ask_ops *ops, void *userdata);
void asks_done(struct asks *asks);

/* How long later questions may wait. */
void asks_set_timeout(struct asks *asks, usec_t timeout_usec);

/* Asks; asker->on_answer is called once, from the loop, unless ask_cancel comes first. Structs must
 * be zero-filled beyond their strings, so that equal questions have equal bytes. */
int ask(struct asks *asks, struct asker *asker, enum ipc_type type, const void *body, size_t body_size,
        const void *blob, size_t blob_size, unsigned flags);

/* Stops waiting; fine when not waiting. */
void ask_cancel(struct asks *asks, struct asker *asker);

/* An answer came: to everybody who waits for this cookie. Unknown cookies were given up; fine. */
void asks_answer(struct asks *asks, const struct ipc_message *answer);

/* The connection is gone: what was sent counts as unsent, what may not be sent twice has failed. */
void asks_disconnected(struct asks *asks);

/* The connection is back and the supervisor ready: asks everything that was not answered. */
void asks_resend(struct asks *asks);
