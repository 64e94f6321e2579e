/* The endpoint of MCP 2026-07-28 in front of a backend that speaks it over stdio: every request is a POST that
 * stands alone and says in params._meta what it is. There are no clients to it, only calls; what a backend
 * sends goes to the stream of the call it is about.
 *
 *   modern_check.c, modern_header.c  what a request must say, and its headers repeat
 *   modern_request.c                 requests and notifications on their way to the backend, and how they end
 *   modern_placement.c               whose a message of the backend is
 *   modern_deliver.c                 that message, under the names its client knows
 *   listen.c                         what a subscriptions/listen asked for
 *   modern_tools.c, tool_list.c,     which arguments of a tool are to be repeated in headers: the worker asks for
 *   modern_params.c                  the list of tools itself
 *   modern_handles.c, handles.c      sessions of single requests: how a later request comes back to one, and
 *                                    when it is over
 */
#pragma once

#include "common/mcp.h"
#include "worker/modern_check.h"
#include "worker/stdio_endpoint.h"

#include <config.h>

/* Who the worker is where it asks the backend something itself. */
#define MODERN_OWN_META                                                                             \
        "{\"" MCP_META_PREFIX "protocolVersion\":\"" MCP_MODERN "\","                               \
        "\"" MCP_META_PREFIX "clientInfo\":{\"name\":\"envmux\",\"version\":\"" PACKAGE_VERSION "\"}," \
        "\"" MCP_META_PREFIX "clientCapabilities\":{}}"

/* ---- modern_request.c ---- */

/* A message that mcp_is_modern. Answers, or sees to the answer. */
void modern_take(struct stdio *stdio, struct exchange *exchange, const struct jsonrpc_message *message);

/* Any other message, while the backend is pinned to this era. */
void modern_refuse_legacy(struct exchange *exchange, const struct jsonrpc_message *message);

/* A request that was checked goes to the backend; its stream ends where that fails. */
void modern_forward(struct stdio *stdio, struct stream *stream, const struct jsonrpc_message *message);

/* The answer to a request that does not go there. */
void modern_stream_refuse(struct stream *stream, const struct modern_fault *fault, struct json_slice id);

/* ---- modern_tools.c ---- */

void modern_tools_init(struct stdio *stdio);
void modern_tools_done(struct stdio *stdio);

/* A tools/call: goes to the backend once its headers were held against the tool's schema. */
void modern_tools_call(struct stdio *stdio, struct stream *stream, const struct jsonrpc_message *message);

/* The list of tools: a page of it came, or never will (its call was removed); it is another now. */
void modern_tools_response(struct stdio *stdio, const struct jsonrpc_message *message);
void modern_tools_lost(struct stdio *stdio);
void modern_tools_changed(struct stdio *stdio);

/* A call that waits for the list: its stream is lost; the session has ended for all. */
void modern_tools_forget_stream(struct stdio *stdio, const struct stream *stream);
void modern_tools_fail(struct stdio *stdio, const struct failure *failure);

/* ---- modern_handles.c: these do nothing in a session of another kind than KEY_REQUEST ---- */

int modern_handles_init(struct stdio *stdio);
void modern_handles_done(struct stdio *stdio);

/* A request may carry the state that an earlier answer gave out. */
void modern_handles_request(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message);

/* The answer is about to be sent: what it gives out leads here from now on. */
void modern_handles_answer(struct stdio *stdio, const struct call *call, const struct jsonrpc_message *message);

/* A request has ended: when nothing else leads here, the session ends with it, from the loop. */
void modern_handles_settle(struct stdio *stdio);

/* ---- modern_deliver.c ---- */

/* A notification or a request of the backend. */
void modern_deliver(struct stdio *stdio, const struct jsonrpc_message *message);

/* The answer to a modern call, which is removed. */
void modern_respond(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message);

/* Ends a subscriptions/listen by its own result, as the backend would ("Graceful Closure"). The call stays. */
void modern_listen_end(struct call *call);
