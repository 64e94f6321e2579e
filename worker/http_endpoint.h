/* An HTTP backend: requests pass through, streams included; only the session id, the host and the
 * headers of this hop are exchanged. */
#pragma once

#include "worker/client.h"
#include "worker/http_address.h"

#include <sys/queue.h>

struct relay;

#define HTTP_CANCELS_MAX 16 /* connections that tell the backend of requests given up; the newest push out the oldest */

struct http_endpoint {
        struct worker *worker;
        struct http_address *address;
        struct http_limits limits;          /* towards the backend */
        TAILQ_HEAD(, relay) relays;
        char *mcp_path;                     /* the spelling that the backend answers without a redirect */
        bool is_listening;
        struct http_conn *cancels[HTTP_CANCELS_MAX]; /* NULL where none is */
        unsigned next_cancel;
};

/* The attached client with this Mcp-Session-Id, or NULL. */
const struct client *http_endpoint_client(const struct http_endpoint *endpoint, const char *client_id);

/* The backend answered this client's `initialize`: attaches it, tells the supervisor which keys lead
 * here now, and adds the headers of such an answer to the response that is being made. backend_id is
 * "" for a backend without session ids; request is the whole body. */
int http_endpoint_attach(struct http_endpoint *endpoint, struct exchange *exchange, const char *backend_id,
                         struct evbuffer *request);

/* This client said DELETE; the last one ends the session. */
void http_endpoint_detach(struct http_endpoint *endpoint, const char *client_id);
