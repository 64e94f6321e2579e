/* Telling an HTTP backend what no client of its will: each message goes on a connection of its own and is
 * forgotten, whatever the backend thinks of it. */
#pragma once

#include "common/json_scan.h"
#include "worker/http_endpoint.h"

/* Nobody waits for an answer any more: notifications/cancelled (MCP, "Cancellation"). client_id names the
 * session at the backend. */
void http_tell_cancelled(struct http_endpoint *endpoint, const char *client_id, struct json_slice request_id);

/* The same where messages are posted to `target` (HTTP+SSE, MCP 2024-11-05). */
void http_tell_cancelled_at(struct http_endpoint *endpoint, const char *target, struct json_slice request_id);

/* Nobody will use this session of the backend any more: DELETE (MCP, "Session Management"). Nothing is said of
 * a session without an id. */
void http_tell_ended(struct http_endpoint *endpoint, const char *backend_id);

/* Ends the connections that are still at it. */
void http_tell_done(struct http_endpoint *endpoint);
