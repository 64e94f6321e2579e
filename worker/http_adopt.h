/* Clients that did not initialize an HTTP backend, but whose messages belong to it all the same: those of a session
 * that is found by an entry of _meta (worker/adopt.h is the same for stdio). The worker makes the handshake for each
 * of them, and each has a session of its own at the backend, where the ids of two clients must not meet. A request
 * without an Mcp-Session-Id gets one for itself alone, which ends with it.
 *
 * In the same way each client of a session that was idle comes to know a fresh backend (worker/http_revive.h), by its
 * own initialize, at its first request. */
#pragma once

#include "worker/http_endpoint.h"

struct relay;

/* True for a request that needs a handshake first. */
bool http_adopt_is_due(const struct http_endpoint *endpoint, const struct exchange *exchange, bool is_mcp);

/* The relay, not started yet, waits for the handshake with the backend that it needs; it is started after that, or
 * fails with it. Messages of the same client wait for the same one. */
void http_adopt(struct relay *relay);

/* The backend listens: begins what waited for that. */
void http_adopt_listening(struct http_endpoint *endpoint);

/* Drops what is under way. Nobody waits for it any more. */
void http_adopt_done(struct http_endpoint *endpoint);
