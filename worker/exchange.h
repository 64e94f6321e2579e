/* Answering one HTTP request of a client. Whatever ends the answer frees the exchange. */
#pragma once

#include "worker/worker.h"

/* One further header of an answer; a list of them ends with a NULL name. */
struct exchange_header {
        const char *name, *value;
};

/* A whole answer. content_type NULL: no body (data and size are ignored). headers may be NULL.
 * Frees the exchange. */
void exchange_respond(struct exchange *exchange, unsigned status, const char *content_type,
                      const struct exchange_header *headers, const void *data, size_t size);

/* Our own error as a JSON-RPC error body. id_token NULL: the request's id is not known, or it has
 * none. A request (id known) gets reason_request_status; anything else keeps the reason's status,
 * with Retry-After beside 503 and Allow beside 405. Frees the exchange. Where the exchange is the one that
 * the session was started for and the fault is its own, the session ends with it. */
void exchange_fail(struct exchange *exchange, const struct failure *failure, const char *id_token, size_t id_size);

/* exchange_fail by reason alone; detail may be NULL. */
void exchange_refuse(struct exchange *exchange, enum reason reason, const char *detail, const char *id_token,
                     size_t id_size);

/* The headers of an answer to `initialize`, between http_conn_start_response and
 * http_conn_begin_body: the client's new Mcp-Session-Id, the session's key and generation, and whether
 * it is the first of it ("new") or not ("joined"). */
int exchange_add_session_headers(struct exchange *exchange, const char *transport_id, const char *attach);

/* 410 with Envmux-Gone: nothing of the request was acted on, the router asks the supervisor again. */
void exchange_gone(struct exchange *exchange);

/* Streaming: after http_conn_start_response and http_conn_begin_body on exchange->client. Counts. */
void exchange_send(struct exchange *exchange, const void *data, size_t size);
/* Ends the message properly. Frees the exchange. */
void exchange_end(struct exchange *exchange);
/* The answer cannot be completed honestly: the connection ends after what was queued. Frees. */
void exchange_abort(struct exchange *exchange);

/* This exchange no longer keeps the session from being idle (an open event stream). */
void exchange_uncount(struct exchange *exchange);
