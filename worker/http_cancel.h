/* Telling an HTTP backend that nobody waits for an answer any more (MCP cancellation: a POST of
 * notifications/cancelled). */
#pragma once

#include "common/json_scan.h"
#include "worker/http_endpoint.h"

/* Sends it on a connection of its own and forgets about it. client_id names the session at the backend. */
void http_cancel_send(struct http_endpoint *endpoint, const char *client_id, struct json_slice request_id);

/* Ends the connections that are still at it. */
void http_cancel_done(struct http_endpoint *endpoint);
