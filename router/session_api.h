/* Managing a session without MCP: PUT, GET, DELETE of /SERVER/s/KEY and POST of …/reset become one
 * SESSION_CALL; the supervisor's reply is the answer. */
#pragma once

#include "router/exchange.h"

/* The head is here, its key in e->key. */
void session_api_start(struct exchange *e);
void session_api_body(struct exchange *e, const void *data, size_t size);
void session_api_end(struct exchange *e);
