/* What a request's target asks for: which server, by which key, and what of it the backend sees. */
#pragma once

#include "common/http/target.h"
#include "router/servers.h"

enum route_kind {
        ROUTE_MCP,     /* /mcp, /SERVER/mcp, /s/KEY/mcp, /SERVER/s/KEY/mcp; a final "/" is the same */
        ROUTE_SSE,     /* …/sse: the event stream of a 2024-11-05 client; a final "/" is the same */
        ROUTE_MESSAGE, /* …/message: what such a client says; its session is named by sessionId= */
        ROUTE_OTHER,   /* any other path of a server: goes where the session header says */
        ROUTE_SESSION, /* /s/KEY, /SERVER/s/KEY: the session itself (PUT, GET, DELETE) */
        ROUTE_RESET,   /* …/reset (POST) */
        ROUTE_HEALTH,  /* /healthz: this process answers */
        ROUTE_READY,   /* /readyz: it also knows the sessions */
};

struct route {
        enum route_kind kind;
        const struct server *server; /* NULL for health and readiness */
        struct http_slice key;       /* of the path, still encoded; data NULL when there is none */
        struct http_slice rest;      /* the target as the backend sees it: a suffix of the original */
        struct http_slice query;     /* still encoded, without '?' */
};

/* Slices point into target. -ENOENT: nothing has this path. */
int route_find(const struct servers *servers, struct http_slice target, struct route *ret);

/* What of target stands before route->rest: the prefix under which this server or session is served. */
struct http_slice route_prefix(const struct route *route, struct http_slice target);

/* The methods of a kind of path, as an Allow header lists them; NULL: any. */
const char *route_methods(enum route_kind kind);
bool route_allows(enum route_kind kind, enum http_method method);
