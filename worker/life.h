/* The life of the session as its worker sees it:
 *
 *   starting → serving → draining → stopping → lingering → done
 *
 * starting   the backend is being executed, or has not answered yet; until start_usec
 * serving    the door is open
 * draining   the door is closed, requests in flight may finish; until the STOP's drain_usec
 * stopping   everything in flight was answered with the failure; the stop ladder runs
 * lingering  no process is left; answers leave, late comers are told
 */
#pragma once

#include "worker/worker.h"

struct life;

int life_new(struct worker *worker, struct life **ret);
struct life *life_free(struct life *life);

/* Spawns the backend. Failures of it are told to clients and supervisor like any later ones.
 * cgroup_procs_fd is how it joins its cgroup, -1: none. */
void life_start(struct life *life, int cgroup_procs_fd_consume);

/* READY is due: the backend answered, or it listens. Later calls do nothing. */
void life_ready(struct life *life);
bool life_is_starting(const struct life *life);

/* How long a request that comes in now may take: request_usec, and what a start may take on top of it
 * while the backend has not answered yet. */
usec_t life_request_usec(const struct life *life);

/* Ends the session; the first end counts. detail may be NULL. */
void life_end(struct life *life, enum gone_cause cause, enum reason reason, const char *detail);

/* True when an `initialize` that comes now gets a fresh backend: somebody is attached, and the server's
 * attach policy is to replace. The initialize is answered GONE, then the session ends (GONE_REPLACED). */
bool life_is_replaced(const struct life *life);

/* STOP: drains for drain_usec at most, then the ladder. While the session ends already it only shortens. */
void life_stop(struct life *life, enum reason reason, usec_t drain_usec, usec_t rung_usec);

/* For the other modules' callbacks: no request is in flight any more; nothing was for idle_usec. */
void life_on_quiet(struct life *life);
void life_on_idle(struct life *life);
