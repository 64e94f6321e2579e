/* The endpoint of MCP 2026-07-28 in front of a backend that speaks it over stdio: every request is a POST that
 * stands alone and says in params._meta what it is. There are no clients to it, only calls; what a backend
 * sends goes to the stream of the call it is about.
 *
 *   modern_check.c, modern_header.c  what a request must say, and its headers repeat
 *   modern_request.c                 requests and notifications on their way to the backend, and how they end
 *   modern_placement.c               whose a message of the backend is
 *   modern_deliver.c                 that message, under the names its client knows
 *   listen.c                         what a subscriptions/listen asked for
 */
#pragma once

#include "common/mcp.h"
#include "worker/stdio_endpoint.h"

/* ---- modern_request.c ---- */

/* A message that mcp_is_modern. Answers, or sees to the answer. */
void modern_take(struct stdio *stdio, struct exchange *exchange, const struct jsonrpc_message *message);

/* Any other message, while the backend is pinned to this era. */
void modern_refuse_legacy(struct exchange *exchange, const struct jsonrpc_message *message);

/* ---- modern_deliver.c ---- */

/* A notification or a request of the backend. */
void modern_deliver(struct stdio *stdio, const struct jsonrpc_message *message);

/* The answer to a modern call, which is removed. */
void modern_respond(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message);

/* Ends a subscriptions/listen by its own result, as the backend would ("Graceful Closure"). The call stays. */
void modern_listen_end(struct call *call);
