/* What was said on streams that can be resumed (MCP 2025-11-25, Streamable HTTP, "Resumability and
 * Redelivery"). One store for all of a session, a log of events for each stream. An event has a number
 * within its log; number 0 is the beginning, which has no content.
 *
 * An event that was sent stays, since its connection may have lost it; its place is given up, oldest
 * first, when room is needed. One that was not sent yet is never given up for another stream; when there is
 * no room for a further one, its stream has to end, unless it carries only news. */
#pragma once

#include "common/http/http.h"
#include "common/macro.h"

#include <sys/queue.h>

#define EVENT_ID_SIZE 40 /* 16 hex digits that nobody can guess, "-", a number */

struct event_store;
struct event_log;

struct log_event {
        STAILQ_ENTRY(log_event) entry;
        uint64_t number;
        uint64_t serial; /* its order among all of the store */
        size_t size;
        char text[];
};

/* What an event may do to be taken in. */
enum event_weight {
        EVENT_NEWS,      /* what is unsent in its own log makes room, oldest first */
        EVENT_MESSAGE,   /* its log may hold half of the store unsent */
        EVENT_RESPONSE,  /* what else is unsent in its log does not count */
        EVENT_LAST_WORD, /* always: a small error in place of what had no room */
};

/* bytes_max bounds what is kept. What is unsent, which nothing can make room for, may exceed it by half and
 * by one event that came when nothing else was unsent. */
int event_store_new(size_t bytes_max, struct event_store **ret);
/* Its logs are gone. NULL is fine. */
struct event_store *event_store_free(struct event_store *store);
size_t event_store_bytes(const struct event_store *store);

/* on_evict: the log, which is at rest, makes room for others; the owner frees it. */
int event_log_new(struct event_store *store, void (*on_evict)(void *owner), void *owner, struct event_log **ret);
struct event_log *event_log_free(struct event_log *log);

/* Walks the owners of all logs: NULL gives the first. */
struct event_log *event_store_next(const struct event_store *store, const struct event_log *after);
void *event_log_owner(const struct event_log *log);

/* Adds a copy of text as the newest event; -ENOBUFS: no room. */
int event_log_add(struct event_log *log, const char *text, size_t size, enum event_weight weight);

/* How many events were given up before they were sent. */
uint64_t event_log_dropped(const struct event_log *log);

/* The newest event was sent without being kept, or is not to be had any more: counts it all the same. */
void event_log_skip(struct event_log *log);

/* The number of the newest event, and of the newest that is not to be had any more. */
uint64_t event_log_newest(const struct event_log *log);
uint64_t event_log_lost(const struct event_log *log);

/* The oldest event that was not sent, NULL: none; and its having been sent. */
const struct log_event *event_log_unsent(const struct event_log *log);
void event_log_sent(struct event_log *log);

/* What came after number counts as unsent from now on; the log is not at rest. -ESTALE: not all of it is
 * kept; nothing is changed. */
int event_log_rewind(struct event_log *log, uint64_t number);

/* At rest: nothing will be added, and nobody reads it just now. It may be evicted. */
void event_log_rest(struct event_log *log);
void event_log_wake(struct event_log *log);

/* Event ids: unique in the session, and they name the log (ibid.). */
void event_log_id(const struct event_log *log, uint64_t number, char ret[static EVENT_ID_SIZE]);
/* 0 with both outputs; -ENOENT: no such event was ever told. */
int event_store_find(const struct event_store *store, struct http_slice id, struct event_log **ret, uint64_t *ret_number);
