/* worker/revive.h for an HTTP backend, which has a session for each client: each client's initialize is kept, and
 * replayed at its first request to a fresh backend (worker/http_adopt.h), whose session it then has.
 *
 *   {"clients": [{"id": Mcp-Session-Id, "identity": …, "version": what was negotiated,
 *                 "initialize": the client's request, verbatim}, …]}
 *
 * "version" and "initialize" are absent for clients that the worker initialized itself. */
#pragma once

#include "common/json_scan.h"
#include "worker/http_endpoint.h"

/* Keeps an attached client's initialize, unless it is too large for that. */
void http_revive_keep(struct client *client, struct json_slice request);

/* The object, the caller's; clients of the HTTP+SSE transport, which end with their streams, are not in it, nor the
 * oldest where it would be too large for a frame. -ENOENT: it would be for nobody. */
int http_revive_write(const struct http_endpoint *endpoint, char **ret);

/* Takes in what the spec has: the clients are attached from the start, and unknown to the backend. */
int http_revive_read(struct http_endpoint *endpoint);
