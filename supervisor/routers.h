/* The routers: one process per slot, replaced when it dies, told everything it needs to route. */
#pragma once

#include "supervisor/peers.h"

struct routers;

/* Reads RUNTIME/routers for those of an earlier supervisor, which get a moment to say HELLO, and spawns
 * the others. on_up runs once, when every slot has a connected router for the first time. Observes the
 * supervisor's sessions. */
int routers_new(struct supervisor *supervisor, void (*on_up)(struct supervisor *supervisor), struct routers **ret);
struct routers *routers_free(struct routers *routers);
DEFINE_CLEANUP(struct routers, routers_free)

/* The router of a slot, the present or a former one, whose token this is, or NULL. */
struct router *routers_find(struct routers *routers, unsigned slot, const char *token);

/* A router whose token was checked said HELLO: WELCOME and the dump follow. */
int routers_hello(struct peer *peer, struct router *router, uint32_t version);
/* Its connection ended. */
void routers_hangup(struct peer *peer);

/* After a reload: the new number of slots, and a new dump to each; those whose program was replaced give their
 * slots to new ones. Nothing is dropped: a router that goes first serves what it has accepted. */
void routers_reconfigure(struct routers *routers);

/* Every router has read what it was sent, a new configuration for example. */
bool routers_are_heard(const struct routers *routers);

/* A router answers, so its slot needs no former one any more. */
void routers_on_answer(struct router *router);

/* An alias came or went. Nothing is sent for sessions that the routers do not know. */
void routers_push_alias(struct routers *routers, const struct session *session, enum key_kind kind, const char *key,
                        bool is_removed);

/* The era of a definition has become known. */
void routers_push_era(struct routers *routers, const char *definition_hash);

/* How long a request may wait in a router for RESOLVED: longer than anything here makes it wait. */
usec_t routers_resolve_usec(const struct supervisor *supervisor);

/* SIGTERM to each, SIGKILL a while later; on_down runs when all are gone, from the loop. */
void routers_stop(struct routers *routers, void (*on_down)(struct supervisor *supervisor));

bool routers_are_stopping(const struct routers *routers);

/* False: one should long have been replaced and is still there (supervisor/router_health.h). */
bool routers_are_well(const struct routers *routers);

unsigned routers_count_connected(const struct routers *routers);
/* Sums of the newest counters of all routers. */
struct ipc_router_status routers_status(const struct routers *routers);
bool routers_know_pid(const struct routers *routers, pid_t pid);

/* Handler (supervisor/peers.h). */
int routers_on_status(struct peer *peer, const struct ipc_message *message);
