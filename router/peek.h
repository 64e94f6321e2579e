/* Reading the body of a request without Mcp-Session-Id: an `initialize` creates or joins a session,
 * anything else must name one. */
#pragma once

#include "router/exchange.h"

/* The head of such a POST is here, its key (which may be none) in e->key. */
void peek_start(struct exchange *e);
void peek_body(struct exchange *e, const void *data, size_t size);
void peek_end(struct exchange *e);
