/* One request on its way through an HTTP backend: forwarded, answered, streamed both ways with
 * backpressure. */
#pragma once

#include "worker/http_endpoint.h"

/* The exchange is answered and freed by the relay. Until relay_start it keeps what comes of the body,
 * and holds the client back when that is much. */
int relay_new(struct http_endpoint *endpoint, struct exchange *exchange, bool is_mcp, struct relay **ret);

/* The backend listens: connects and goes on; the client is resumed. May free the relay. Does nothing while it waits
 * for a handshake (worker/http_adopt.h). */
void relay_start(struct relay *relay);

/* Instead of relay_start: the request is read to its end, so that its id is known, and refused. */
void relay_refuse(struct relay *relay, enum reason reason);

/* The request's body and its end. May free the relay. */
void relay_body(struct relay *relay, const void *data, size_t size);
void relay_end_of_request(struct relay *relay);

void relay_client_drained(struct relay *relay);

/* The next one of the endpoint's list, or NULL. */
struct relay *relay_next(struct relay *relay);

/* True when this Mcp-Session-Id came with the request. */
bool relay_is_of(const struct relay *relay, const char *transport_id);

/* The client left: nothing is answered, and the exchange is not looked at again. The connection to the backend
 * ends, which cancels a modern request; a call of the revisions before goes on to its end. */
void relay_client_gone(struct relay *relay);

/* Answers the client with failure, or ends its stream with it. Frees relay and exchange. */
void relay_fail(struct relay *relay, const struct failure *failure);

/* A session of a single request (KEY_REQUEST) ends once no request is under way and nothing that was given out leads
 * back to it; looked at from the loop. relay_single_init makes endpoint->settle, the endpoint frees it. */
int relay_single_init(struct http_endpoint *endpoint);
void relay_single_settle(struct http_endpoint *endpoint);
