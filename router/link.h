/* The connection to the supervisor: made again whenever it ends, while live sessions go on being
 * served from the table. A dump (ROUTER_CONFIG to DUMP_END: on a new connection, and after a reload)
 * is gathered beside the table and takes its place at its end, so that no request sees half of it. */
#pragma once

#include "router/servers.h"
#include "router/table.h"

struct router;
struct ipc_channel;

struct link {
        struct router *router;
        struct ipc_channel *channel;     /* NULL while disconnected */
        struct event *connect_timer;     /* the next attempt */
        struct event *status_timer;      /* the next ROUTER_STATUS */
        unsigned n_attempts;
        bool is_welcome;
        bool is_ready;                   /* the dump is complete, questions may be asked */
        struct table *incoming;          /* the dump so far; NULL outside of one */
        struct servers incoming_servers;
};

int link_init(struct link *link, struct router *router);
void link_done(struct link *link);

/* Tries at once; failures are retried from the loop. */
void link_start(struct link *link);

/* -ENOTCONN while the supervisor is away or its dump not complete. */
int link_send(struct link *link, enum ipc_type type, uint32_t cookie, const void *body, size_t body_size,
              const void *blob, size_t blob_size);

/* Tells the supervisor the counters soon, together with what changes until then. */
void link_status_changed(struct link *link);
