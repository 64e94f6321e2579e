/* An HTTP backend: requests pass through, streams included; only the session id, the host and the
 * headers of this hop are exchanged. */
#pragma once

#include "worker/client.h"
#include "worker/http_address.h"

#include <sys/queue.h>

struct relay;
struct http_sse;
struct http_adoption;

#define HTTP_TELLS_MAX 16 /* connections that tell the backend something; the newest push out the oldest */

struct http_endpoint {
        struct worker *worker;
        struct http_address *address;
        struct http_limits limits;          /* towards the backend */
        TAILQ_HEAD(, relay) relays;
        TAILQ_HEAD(, http_sse) sses;        /* open streams of the HTTP+SSE transport */
        TAILQ_HEAD(, http_adoption) adoptions; /* handshakes of the worker's own that are under way */
        unsigned n_adoptions;
        char *mcp_path;                     /* the spelling that the backend answers without a redirect */
        bool is_listening;
        struct http_conn *tells[HTTP_TELLS_MAX]; /* NULL where none is */
        unsigned next_tell;
        struct event *settle;               /* of a session of a single request; else NULL */
};

/* A request for the MCP endpoint that stands alone (MCP 2026-07-28): it has no session, whatever ids it carries.
 * The backend has the body to tell by, and refuses where head and body disagree. */
bool http_exchange_is_modern(const struct exchange *exchange);

/* Who is attached: http_clients.c.
 *
 * The attached client with this Mcp-Session-Id, or NULL. */
struct client *http_endpoint_client(const struct http_endpoint *endpoint, const char *client_id);

/* The client that a request speaks for at the backend, or NULL. Whoever names the session by its key alone speaks for
 * the only client there is; on paths of the backend's own, which are about the session as a whole, for the newest. */
struct client *http_endpoint_speaker(const struct http_endpoint *endpoint, const struct exchange *exchange, bool is_mcp);

/* The backend took this client in: attaches it and tells the supervisor which keys lead here now. backend_id
 * is "" for a backend without session ids, version what was negotiated; request is the whole `initialize`. *ret_word
 * is for Envmux-Attach.
 * -ENOSPC: as many as there may be are attached, and each has a request under way. */
int http_endpoint_attach(struct http_endpoint *endpoint, struct exchange *exchange, const char *backend_id,
                         const char *version, struct evbuffer *request, const char **ret_word);

/* The same for a client that the worker initialized, and that is found by the session's key beside its id. */
int http_endpoint_adopt(struct http_endpoint *endpoint, const char *client_id, const char *backend_id);

/* This client is gone: only it leaves. An unknown id is fine. */
void http_endpoint_leave(struct http_endpoint *endpoint, const char *client_id);

/* This client said DELETE; the last one ends the session, where its key is theirs alone. */
void http_endpoint_detach(struct http_endpoint *endpoint, const char *client_id);
