/* The root object of envmux-router. */
#pragma once

#include "router/ask.h"
#include "router/body.h"
#include "router/client.h"
#include "router/guard.h"
#include "router/link.h"
#include "router/servers.h"
#include "router/upstream.h"

struct table;

#define ROUTER_LISTENER_FD 3   /* the first; the others follow */
#define ROUTER_LISTENERS_MAX 64
#define BODY_BYTES_SHARE (16 * 1024)         /* for each client that there may be: all kept bodies together */
#define BODIES_BYTES_MIN (4 * 1024 * 1024)   /* but at least so much */

struct router_args {
        unsigned slot;
        unsigned n_listeners;
        const char *token;
};

struct router {
        struct event_base *base;
        struct router_args args;
        struct link link;
        struct ipc_router_config config;
        struct guard guard;
        struct servers servers;
        struct table *table;
        struct asks asks;
        struct upstreams upstreams;
        struct clients clients;
        struct body_budget bodies;
        struct ipc_router_status status; /* clients, in_flight, requests */
        struct event *signals[2];
        struct event *drain_timer;
        bool is_accepting;       /* since the first complete dump */
        bool is_retired;         /* another one accepts in its place */
        bool is_stopping;
};

int router_new(const struct router_args *args, struct router **ret);
struct router *router_free(struct router *router);
DEFINE_CLEANUP(struct router, router_free)

/* Runs until SIGTERM or SIGINT and the end of the requests in flight. */
int router_run(struct router *router);

/* A new configuration from the supervisor. -EBADMSG when it is not one. */
int router_configure(struct router *router, const struct ipc_router_config *config, const char *allowed_json,
                     size_t allowed_size);

/* The first complete dump: clients may come in. Later calls do nothing. */
void router_start_accepting(struct router *router);

/* Another router accepts now: ends with the last connection, after drain_usec at the latest. */
void router_retire(struct router *router, usec_t drain_usec);

/* One request began or ended. */
void router_count_request(struct router *router, bool is_begin);

/* The number of client connections changed. */
void router_count_client(struct router *router, unsigned n_clients);
