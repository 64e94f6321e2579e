/* Messages of the backend that wait for a stream to a client: bounded, the oldest make room. */
#pragma once

#include "common/macro.h"

#include <sys/queue.h>

#define BACKLOG_MESSAGES_MAX 256u
#define BACKLOG_BYTES_MAX (1024u * 1024)

struct backlog_message;

struct backlog {
        STAILQ_HEAD(, backlog_message) messages;
        size_t n, bytes;
        uint64_t dropped;
};

void backlog_init(struct backlog *backlog);
void backlog_done(struct backlog *backlog);

/* Copies. Returns how many older messages were dropped for it; a message larger than all of the
 * backlog counts as dropped itself. */
unsigned backlog_add(struct backlog *backlog, const char *text, size_t size);

/* Takes the oldest: true with *ret (the caller's) and *ret_size. */
bool backlog_take(struct backlog *backlog, char **ret, size_t *ret_size);

/* Appends everything in from to to, in order. */
void backlog_move(struct backlog *to, struct backlog *from);
