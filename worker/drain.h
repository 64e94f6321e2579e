/* Reads one output of the backend into the log ring, always, as fast as it comes. */
#pragma once

#include "worker/log_ring.h"

#include <event2/event.h>

struct drain;

/* fd is a non-blocking pipe; ring is borrowed. */
int drain_new(struct event_base *base, int fd_consume, struct log_ring *ring, enum log_source source,
              struct drain **ret);
struct drain *drain_free(struct drain *drain);

/* Takes what is in the pipe now (at most a pipe's capacity), for last words. */
void drain_now(struct drain *drain);
