/* Client connections: accepting, their number, their idle time. */
#pragma once

#include "common/http/http.h"
#include "router/exchange.h"

#include <sys/queue.h>

struct router;
struct client;
TAILQ_HEAD(client_list, client);

/* All clients of the process, and the listeners they come from. */
struct clients {
        struct router *router;
        struct http_limits limits;       /* of every client connection */
        struct client_list idle, busy;   /* idle: longest first */
        unsigned n_clients, n_max;
        bool is_full;                    /* the listeners are paused */
        struct http_listener **listeners;
        unsigned n_listeners;
};

void clients_init(struct clients *clients, struct router *router);
void clients_done(struct clients *clients);

/* Accepts on n_fds listening sockets from first_fd on. */
int clients_listen(struct clients *clients, int first_fd, unsigned n_fds);

/* Applies limits of the configuration, to open connections too. */
void clients_configure(struct clients *clients, const struct ipc_router_config *config);

/* No more accepting and no more requests; connections end with the answer they are at. */
void clients_drain(struct clients *clients);

/* No more accepting; each connection ends with the next answer that begins. */
void clients_retire(struct clients *clients);

/* One accepted connection; its requests come one after the other. */
struct client {
        TAILQ_ENTRY(client) entry;       /* in idle or busy */
        struct clients *clients;
        struct http_conn *http;
        bool is_busy;
        struct exchange exchange;
};

/* The connection of this exchange has a request to answer, or none any more. */
void client_set_busy(struct exchange *e, bool is_busy);
