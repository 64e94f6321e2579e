/* Reading the body of a POST whose head does not say all: an `initialize` creates or joins a session, an
 * entry of _meta names one, a stateless request may be one by its body alone; anything else must name its
 * session in its head. */
#pragma once

#include "router/exchange.h"

/* Whether the body of a POST says more than its head, whose key (which may be none) is in e->key: not where
 * that has an Mcp-Session-Id, unless an entry of _meta goes before it. */
bool peek_is_needed(const struct exchange *e);

void peek_start(struct exchange *e);
void peek_body(struct exchange *e, const void *data, size_t size);
void peek_end(struct exchange *e);

/* What a session made for this request starts with: the seed of its URL, or else of its client, and its
 * client's config. client_info is an object, size 0: none. False when the request was answered because of it. */
bool peek_settings(struct exchange *e, struct json_slice client_info);
