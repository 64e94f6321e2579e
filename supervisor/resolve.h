/* RESOLVE: which session a key leads to, started where it may be. Idempotent: the first of several
 * concurrent questions starts the session, all share the start.
 *
 * The answer comes as soon as the worker is launched; how the start goes is the worker's to tell. A key
 * is taken until its session has no process left: a question for an ending session waits for that and
 * then makes the next generation. A negative answer is given only after everything that workers have
 * already sent was read, and never while a session of the same server and principal is unclaimed after
 * a restart, since its worker may know the key as an alias. */
#pragma once

#include "supervisor/peers.h"

struct resolver;

/* Observes the supervisor's sessions. */
int resolver_new(struct supervisor *supervisor, struct resolver **ret);
/* Looks again at what might have been a session still to come (supervisor/rebuild.h). */
void resolver_reconsider(struct resolver *resolver);
struct resolver *resolver_free(struct resolver *resolver);
DEFINE_CLEANUP(struct resolver, resolver_free)

/* Handler (supervisor/peers.h). */
int resolver_on_resolve(struct peer *peer, const struct ipc_message *message);
