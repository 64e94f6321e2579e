/* The root object of envmux-worker: one session, its backend, its clients.
 *
 * What a worker is told comes in a sealed memfd (worker/spec.h) on fd 4; the session's listening
 * socket is fd 3. */
#pragma once

#include "common/http/http.h"
#include "common/ipc.h"
#include "common/reason.h"

struct worker;
struct exchange;

/* One HTTP request of a client and its answer. Made by worker/exchange.c, which owns the client's
 * connection; the endpoint answers through it. It lives until it was answered or the client left. */
struct exchange {
        struct worker *worker;
        struct http_conn *client;
        const struct http_head *head;
        struct http_slice path, query;    /* of head->target, as the backend sees them */
        char transport_id[IPC_KEY_SIZE];  /* Mcp-Session-Id of the request, or the minted one; "" for none */
        bool is_minted;                   /* transport_id is a fresh id the router minted (Envmux-Transport) */
        bool is_counted;                  /* counts as in flight: keeps the session from being idle */
        void *endpoint_data;
};

/* A kind of backend. Each call comes from the loop. */
struct endpoint_ops {
        const char *name;
        /* Before the backend is spawned: allocate its address; fill values[] (TEMPLATE_PORT, …). */
        int (*prepare)(struct worker *worker);
        /* The child runs; endpoint reports worker_ready() when it answers or listens. */
        int (*on_spawned)(struct worker *worker);
        /* A request head arrived; body follows through the two calls after it. */
        void (*on_request)(struct worker *worker, struct exchange *exchange);
        void (*on_request_body)(struct worker *worker, struct exchange *exchange, const void *data, size_t size);
        void (*on_request_end)(struct worker *worker, struct exchange *exchange);
        void (*on_client_drained)(struct worker *worker, struct exchange *exchange);
        /* The client went away before the answer was complete; exchange is freed after it. */
        void (*on_client_gone)(struct worker *worker, struct exchange *exchange);
        /* Every request in flight is to be answered with failure now, every stream ended. */
        void (*fail_all)(struct worker *worker, const struct failure *failure);
        /* First rung of the stop ladder: stdin is closed, or nothing where there is none. */
        void (*close_input)(struct worker *worker);
        void (*done)(struct worker *worker);
};

extern const struct endpoint_ops endpoint_stdio, endpoint_http;
