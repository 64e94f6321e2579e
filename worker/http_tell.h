/* Telling an HTTP backend what no client of its will: each message goes on a connection of its own and is
 * forgotten, whatever the backend thinks of it. */
#pragma once

#include "common/json_scan.h"
#include "worker/http_endpoint.h"

/* A request of the worker's own: its head up to Host, and all of the rest, between which more headers may be added.
 * session_id is the backend's, "" for none. */
int http_tell_begin(struct http_conn *conn, const struct http_endpoint *endpoint, const char *method, const char *target);
int http_tell_end(struct http_conn *conn, const char *session_id, const char *body, size_t size);

/* Nobody waits for an answer any more: notifications/cancelled (MCP, "Cancellation"). backend_id is the session's
 * at the backend, "" for none. */
void http_tell_cancelled(struct http_endpoint *endpoint, const char *backend_id, struct json_slice request_id);

/* The same where messages are posted to `target` (HTTP+SSE, MCP 2024-11-05). */
void http_tell_cancelled_at(struct http_endpoint *endpoint, const char *target, struct json_slice request_id);

/* Nobody will use this session of the backend any more: DELETE (MCP, "Session Management"). Nothing is said of
 * a session without an id. */
void http_tell_ended(struct http_endpoint *endpoint, const char *backend_id);

/* Ends the connections that are still at it. */
void http_tell_done(struct http_endpoint *endpoint);
