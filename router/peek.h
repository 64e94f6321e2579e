/* Reading the body of a request without Mcp-Session-Id: an `initialize` creates or joins a session,
 * anything else must name one. */
#pragma once

#include "router/exchange.h"

/* The head of such a POST is here, its key (which may be none) in e->key. */
void peek_start(struct exchange *e);
void peek_body(struct exchange *e, const void *data, size_t size);
void peek_end(struct exchange *e);

#define PEEK_BAD_SEED "seed= must be an integer of at most 64 bits"

/* The seed for a session that e begins: the URL's, else client_info's own (size 0: there is none). -EINVAL:
 * the URL's is no seed. */
int peek_seed(struct exchange *e, struct json_slice client_info);
