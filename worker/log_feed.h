/* Log lines to the supervisor: LOGS_GET, following, LOGS_CANCEL. Each reader is a position in the
 * ring; frames go out only while the channel's queue is short, so that a flood of lines costs lines
 * (counted in `dropped`), never the connection. */
#pragma once

#include "common/ipc.h"
#include "worker/log_ring.h"

struct log_feed;

/* ring is borrowed; the feed takes its notification. */
int log_feed_new(struct event_base *base, struct log_ring *ring, struct log_feed **ret);
struct log_feed *log_feed_free(struct log_feed *feed);

/* The channel frames go to, borrowed. NULL: there is none, every reader is forgotten. */
void log_feed_set_channel(struct log_feed *feed, struct ipc_channel *channel);

void log_feed_get(struct log_feed *feed, uint32_t cookie, const struct ipc_logs_get *get);
void log_feed_cancel(struct log_feed *feed, uint32_t cookie);
