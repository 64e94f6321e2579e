/* Which stream a message of a modern backend belongs on. All requests share its standard output, and each
 * stream is one request's own (MCP 2026-07-28, stdio, "Receiving Messages"):
 *
 *   response          the call it answers
 *   subscriptionId    that subscriptions/listen
 *   progress          the call that carried its token
 *   cancelled         the subscriptions/listen that it ends
 *   list and resource news without a subscriptionId: every listener that asked for them
 *   log message       the newest call that asked for messages of its level; else nowhere
 *   anything else     the newest call
 */
#pragma once

#include "worker/placement.h"

/* PLACE_ALL: each call whose listen_wants it. PLACE_CLIENT does not occur. */
struct placement modern_placement_of(const struct jsonrpc_message *message, const struct calls *calls);
