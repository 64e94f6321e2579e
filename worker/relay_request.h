/* A client's request as the backend is to see it: no header of this hop or of ours, its own host, its
 * own session id. */
#pragma once

#include "worker/http_endpoint.h"

/* Sends the head; the body follows by http_conn_send as it comes. is_mcp: the request is for the MCP
 * endpoint, whatever the backend's path for it is; own_session: the backend's session that was made for it, NULL: its
 * client's. The connection is closed after the answer. */
int relay_request_send_head(struct http_conn *backend, const struct http_endpoint *endpoint,
                            const struct exchange *exchange, bool is_mcp, const char *own_session);

/* Adds to a message of the worker's own what a client's request says of its sender (credentials, for one). */
int relay_request_add_sender(struct http_conn *backend, const struct exchange *exchange);
