/* Sessions managed over HTTP without MCP: PUT, GET, POST reset, DELETE on /SERVER/s/KEY, which routers
 * pass on as SESSION_CALL (envmux(1) has the fields). */
#pragma once

#include "supervisor/peers.h"

/* Handler (supervisor/peers.h). Answers:
 *   PUT     201 made, 200 it exists with the same body (or was made otherwise and the body is {}),
 *           409 it exists with another; after the backend runs
 *   GET     200 with the description (session_json.h), 404
 *   RESET   200 with the description of the next generation, once its backend runs, 404
 *   DELETE  204, once nothing of it is left, and when there was nothing
 * 400 for a body that is wrong, 404 for a server that is not there, 503 where it cannot be done now;
 * these carry {"error":{"code","message","data":{"envmux":FAILURE}}}. */
int session_api_on_call(struct peer *peer, const struct ipc_message *message);
