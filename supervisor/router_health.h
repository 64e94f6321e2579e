/* Whether the loops of routers run: each is asked every while (PING) and killed when it leaves several
 * questions in a row unanswered, upon which another one takes its slot.
 *
 * What is counted is turns of our own loop, not time: a supervisor that was itself stopped for a while, with
 * or without its routers, finds no fault with them for that. */
#pragma once

#include "common/ipc.h"

struct peer;
struct router;

struct router_health {
        struct event *timer;
        bool can_answer;           /* it speaks a version with PING */
        unsigned n_unanswered;
        uint32_t cookie;           /* of the newest question */
};

/* How long a router may leave questions unanswered: ten seconds, but no more than half of what the service
 * manager gives us ourselves. */
usec_t router_health_patience_usec(void);

int router_health_init(struct router *router);
void router_health_done(struct router *router);

/* Its dump was sent, or its connection has ended. One that speaks no version with PING is not asked; all others
 * at once, so that the first answer says that the dump was read. */
void router_health_begin(struct router *router, uint32_t version);
void router_health_end(struct router *router);

/* Asks now, if it can answer: until it has (router_health_is_heard), it may not have read what it was sent. */
void router_health_ask(struct router *router);
bool router_health_is_heard(const struct router *router);

/* False: it should long have been killed, so it is we who are not well. */
bool router_health_is_good(const struct router *router);

/* Handler (supervisor/peers.h). */
int router_health_on_pong(struct peer *peer, const struct ipc_message *message);
