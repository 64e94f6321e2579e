/* Requests of MCP 2026-07-28, each of which stands alone: any of them may start the session that its key
 * names. The key comes from the path or the session header, else from _meta or from who the client is, where
 * the server takes such; what comes without one gets what the server's configuration says. */
#pragma once

#include "router/exchange.h"

/* The head of a POST says that it is one; its key, or none, is in e->key. Finds the session, reading the body
 * first only where that may say more. */
void stateless_start(struct exchange *e);

/* The body is here. It may be what told that the request is stateless. */
void stateless_peeked(struct exchange *e, const struct jsonrpc_message *message);

/* The body is too long to look into. */
void stateless_unread(struct exchange *e);

/* Before the request is sent to a fresh session, as the one it went to ended: reads what that starts with.
 * False when the request was answered because of it. */
bool stateless_prepare_retry(struct exchange *e);

/* What the request wanted to come back to is over: a session of its own. */
void stateless_begin_anew(struct exchange *e);
