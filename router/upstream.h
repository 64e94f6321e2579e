/* Connections to workers: a pool per worker socket.
 *
 * Idle connections are closed by the router only, after IDLE_USEC or when too many are open: so a
 * connection that ends by itself means a dead worker. */
#pragma once

#include "common/http/http.h"

#include <sys/queue.h>

struct upstream;
struct upstream_conn;
TAILQ_HEAD(upstream_conn_list, upstream_conn);

/* All pools of the process. */
struct upstreams {
        struct event_base *base;
        struct event *timer;             /* closes what was idle for too long */
        struct http_limits limits;
        struct upstream_conn_list idle;  /* longest idle first */
        size_t n_idle;
};

/* One connection, while it belongs to an exchange. */
struct upstream_conn {
        struct http_conn *http;
        struct upstream *upstream;
        usec_t idle_since_usec;
        TAILQ_ENTRY(upstream_conn) of_all, of_upstream; /* while idle */
};

int upstreams_init(struct upstreams *upstreams, struct event_base *base);
void upstreams_done(struct upstreams *upstreams); /* after every upstream is gone */

/* A pool for the worker socket `name` in the working directory; the caller holds one reference. */
int upstream_new(struct upstreams *upstreams, const char *name, struct upstream **ret);
struct upstream *upstream_ref(struct upstream *upstream);
struct upstream *upstream_unref(struct upstream *upstream); /* NULL is fine; returns NULL */

/* The session ended: idle connections are closed, others when they are released. NULL is fine. */
void upstream_close(struct upstream *upstream);

/* An idle connection, else a new one; ops get its callbacks. -ECONNREFUSED, -ENOENT: no worker
 * listens there; -EAGAIN: its backlog is full. */
int upstream_acquire(struct upstream *upstream, const struct http_conn_ops *ops, void *userdata,
                     struct upstream_conn **ret);

/* Gives a connection back: to the pool when it is between messages, else it is closed. */
void upstream_release(struct upstream_conn *conn);

/* Closes a connection in whatever state. Returns NULL; NULL is fine. */
struct upstream_conn *upstream_drop(struct upstream_conn *conn);
