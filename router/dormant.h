/* Requests for sessions that are dormant (supervisor/dormant.h): a POST wakes one, a client that only wants
 * to listen does not, one of HTTP+SSE is gone with its stream, and one that leaves has left. */
#pragma once

#include "router/exchange.h"
#include "router/resolver.h"

/* Fills in what the request would do to a dormant session. Borrows from the exchange's head. */
void dormant_ask(const struct exchange *e, struct resolve_request *request);

/* RESOLVE_DORMANT: the session sleeps on. */
void dormant_answer(struct exchange *e);
