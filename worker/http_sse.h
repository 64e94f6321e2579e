/* Clients of the transport of MCP 2024-11-05, HTTP with SSE, in front of an HTTP backend that serves it: the
 * stream passes through a relay, except for the event that names the address of the POSTs, which becomes one
 * of ours; POSTs to that go to the backend's.
 *
 * A POST is answered before anything comes of it, so what is under way is counted here, by the ids of requests
 * and responses: it keeps the session from being idle, has its deadline, and is told when the backend dies. */
#pragma once

#include "worker/http_endpoint.h"
#include "worker/relay.h"

struct failure;

/* True when the request is one of this transport: it was taken. */
bool http_sse_request(struct http_endpoint *endpoint, struct exchange *exchange);

/* Whether this is the id of a client whose stream is open. */
bool http_sse_is_of(const struct http_endpoint *endpoint, const char *client_id);

/* ---- for relays that have an sse ---- */

/* The backend answers the GET. False: not with such a stream, or its client cannot be taken in; the relay is
 * freed. */
bool http_sse_begin(struct relay *relay, const struct http_head *head);

/* More of the stream. False: the relay is freed. */
bool http_sse_pass(struct relay *relay, const char *bytes, size_t size);

/* The stream ends with failure as the answer to all that is under way. Frees the exchange. */
void http_sse_fail(struct relay *relay, const struct failure *failure);

/* The body of a POST is complete: when it is a request, it is under way. */
void http_sse_asked(struct relay *relay);

/* A relay is about to be freed: that of the GET takes its client with it, and the session where nobody is left. */
void http_sse_relay_done(struct relay *relay);
