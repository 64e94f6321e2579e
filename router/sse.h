/* The transport of MCP 2024-11-05, HTTP with SSE: GET …/sse opens the stream that everything comes back
 * on, and begins or joins a session; POST …/message?sessionId= says something to it. */
#pragma once

#include "router/exchange.h"

/* The head of such a request is here, its key (which may be none) in e->key. */
void sse_start(struct exchange *e);
void sse_message_start(struct exchange *e);
