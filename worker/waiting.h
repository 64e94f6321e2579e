/* Messages of clients that came before the backend's handshake was done: they wait for it, in order. */
#pragma once

#include "common/macro.h"

#include <sys/queue.h>

struct client;
struct stream;

#define WAITING_MAX 64u

struct waiting {
        TAILQ_ENTRY(waiting) entry;
        struct client *client; /* of an initialize: not attached yet and the entry's own; else whose message it
                                * is, NULL when it has no name */
        struct stream *stream; /* NULL: nobody waits for an answer (any more) */
        bool is_initialize;
        char *text;            /* one line */
        size_t size;
};

struct waiting_list {
        TAILQ_HEAD(, waiting) list;
        unsigned n;
        size_t bytes;          /* of their texts */
};

void waiting_init(struct waiting_list *list);
void waiting_done(struct waiting_list *list);

/* Copies text. -ENOBUFS: WAITING_MAX wait already; -ENOMEM. On failure client and stream stay the caller's. */
int waiting_add(struct waiting_list *list, struct client *client, struct stream *stream, bool is_initialize,
                const char *text, size_t size);

/* Takes the oldest out; NULL when none is left. Freed with waiting_free. */
struct waiting *waiting_take(struct waiting_list *list);
/* Frees it, and the client of an initialize where it still has one. The stream is not touched. */
struct waiting *waiting_free(struct waiting *waiting);
DEFINE_CLEANUP(struct waiting, waiting_free)

/* True when stream belongs to a waiting message. An initialize or a request that nobody waits for any more
 * is dropped. */
bool waiting_forget_stream(struct waiting_list *list, const struct stream *stream);

/* Takes out the oldest message of an attached client that is about to leave; NULL when none is left. */
struct waiting *waiting_take_of(struct waiting_list *list, const struct client *client);
