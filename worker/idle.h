/* When a session counts as idle: from the end of the last request in flight, for idle_usec. An open
 * GET stream or a half-open peer holds nothing. */
#pragma once

#include "common/time_util.h"

#include <event2/event.h>

struct idle;

struct idle_ops {
        void (*on_expired)(void *userdata); /* nothing was in flight for idle_usec */
        void (*on_quiet)(void *userdata);   /* the last request in flight has ended */
};

/* idle_usec 0 or USEC_INFINITY: never expires. The clock stands until idle_start. */
int idle_new(struct event_base *base, usec_t idle_usec, const struct idle_ops *ops, void *userdata, struct idle **ret);
struct idle *idle_free(struct idle *idle);

/* The session is ready: the time without requests counts from now. */
void idle_start(struct idle *idle);
void idle_stop(struct idle *idle);

/* One more request is in flight; one has ended. */
void idle_hold(struct idle *idle);
void idle_release(struct idle *idle);

unsigned idle_in_flight(const struct idle *idle);
/* Since the last request ended; 0 while one is in flight. */
usec_t idle_since_usec(const struct idle *idle);
