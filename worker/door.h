/* Where clients come in: the session's listening socket and the connections it gave. The door is
 * closed in one step; what arrives later is answered GONE, the one answer a router retries. */
#pragma once

#include "worker/worker.h"

struct door;

int door_new(struct worker *worker, int listen_fd_consume, struct door **ret);
struct door *door_free(struct door *door);
DEFINE_CLEANUP(struct door, door_free)

/* From now on every new request gets 410 with Envmux-Gone; or, when the session ended by a failure,
 * what worker/farewell.h says. failure, which may be NULL, outlives the door. */
void door_close(struct door *door, const struct failure *failure);

/* Every request was answered and every answer has left the process. */
bool door_is_flushed(const struct door *door);

/* Bytes that wait for clients which do not read fast enough: connections above their high-water mark. */
size_t door_stalled_bytes(const struct door *door);

/* Bytes queued towards clients, in all. */
size_t door_pending_bytes(const struct door *door);

/* For exchange.c: releases what the exchange holds and frees it; its connection waits for the next. */
void door_exchange_free(struct exchange *exchange);
