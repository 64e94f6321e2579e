/* The root object of envmux-worker: one session, its backend, its clients.
 *
 * What a worker is told comes in a sealed memfd (worker/spec.h) on fd 4; the session's listening
 * socket is fd 3. */
#pragma once

#include "common/http/http.h"
#include "common/ipc.h"
#include "common/json_scan.h"
#include "common/reason.h"
#include "common/template.h"
#include "worker/spec.h"

#include <sys/resource.h>

struct worker;
struct exchange;

/* One HTTP request of a client and its answer. Made by worker/door.c, which owns the client's
 * connection; the endpoint answers through it (worker/exchange.h). It lives until it was answered or
 * the client left. */
struct exchange {
        struct worker *worker;
        struct connection *connection;    /* door.c's; NULL never */
        struct http_conn *client;
        const struct http_head *head;
        struct http_slice path, query;    /* of head->target, as the backend sees them */
        char transport_id[IPC_KEY_SIZE];  /* Mcp-Session-Id of the request, or the minted one; "" for none */
        bool is_minted;                   /* transport_id is a fresh id the router minted (Envmux-Transport) */
        bool is_created;                  /* this request started the session (Envmux-Created) */
        bool is_received;                 /* all of the request is here: on_request_end was called */
        bool is_counted;                  /* counts as in flight: keeps the session from being idle */
        void *endpoint_data;
        struct farewell *farewell;        /* the session has failed: the endpoint does not see the exchange */
};

/* A kind of backend. Each call comes from the loop. */
struct endpoint_ops {
        const char *name;
        /* Makes endpoint_data. Without it the worker cannot begin. May be NULL. */
        int (*init)(struct worker *worker);
        /* Before the backend is spawned: allocate its address; fill values[] (TEMPLATE_PORT, …). A
         * failure is a failed start. May be NULL. */
        int (*prepare)(struct worker *worker);
        /* The child exists; take its pipes (worker/child.h), what is left goes to the log ring. The
         * endpoint calls life_ready() when the backend answers or listens. */
        int (*on_spawned)(struct worker *worker);
        /* A request head arrived; body follows through the two calls after it. */
        void (*on_request)(struct worker *worker, struct exchange *exchange);
        void (*on_request_body)(struct worker *worker, struct exchange *exchange, const void *data, size_t size);
        void (*on_request_end)(struct worker *worker, struct exchange *exchange);
        void (*on_client_drained)(struct worker *worker, struct exchange *exchange);
        /* Fewer bytes wait for slow clients than before (door_stalled_bytes). May be NULL. */
        void (*on_room)(struct worker *worker);
        /* The client went away before the answer was complete; exchange is freed after it. */
        void (*on_client_gone)(struct worker *worker, struct exchange *exchange);
        /* No request is in flight any more. May come inside of any answer. May be NULL. */
        void (*on_quiet)(struct worker *worker);
        /* The child exited: take what it still wrote before everything in flight fails. */
        void (*on_child_exited)(struct worker *worker);
        /* The child exited before it was ready: true when the cause is out of the way now and it should
         * be started once more. May be NULL. */
        bool (*may_respawn)(struct worker *worker);
        /* Every request in flight is to be answered with failure now, every stream ended; requests
         * whose body is still coming in get it too. failure outlives the endpoint. */
        void (*fail_all)(struct worker *worker, const struct failure *failure);
        /* The session ends for idleness: what a fresh backend's worker needs so that the clients notice nothing,
         * as a JSON object (the caller's) for its spec; -ENOENT: none of them could come back.
         * Before fail_all. May be NULL: nothing would do. */
        int (*keep)(struct worker *worker, char **ret);
        /* Bytes kept for clients that are away, beside what is queued on connections. May be NULL. */
        size_t (*kept_bytes)(const struct worker *worker);
        /* First rung of the stop ladder: stdin is closed, or nothing where there is none. */
        void (*close_input)(struct worker *worker);
        void (*done)(struct worker *worker);
};

extern const struct endpoint_ops endpoint_stdio, endpoint_http, endpoint_probe;

/* Modules hang here in the order in which they are made; each is freed once, at the end of the
 * process, never from a callback. */
struct worker {
        struct event_base *base;
        struct spec *spec;
        struct log_ring *logs;
        struct journal_lines *journal_lines; /* NULL without a journal */
        struct link *link;
        struct idle *idle;
        struct reaper *reaper;
        struct child *child;               /* backend.c's */
        struct backend *backend;
        struct memory *memory;
        struct clients *clients;
        struct handles *handles;
        const struct endpoint_ops *endpoint;
        void *endpoint_data;
        struct door *door;
        struct life *life;

        const char *values[TEMPLATE__MAX]; /* borrowed from spec, or set by the endpoint's prepare */
        uint64_t requests;                 /* answered */
        uint64_t bytes_in, bytes_out;      /* bodies, from and to clients */
        struct event *sigterm;
        rlim_t backend_nofile;             /* soft limit on descriptors */
};

/* What the supervisor passes beside the spec. */
struct worker_fds {
        int listen;         /* the session's socket */
        int cgroup_procs;   /* child_spawn's */
        int cgroup_folder;  /* memory_new's */
        rlim_t nofile;      /* the soft limit on descriptors that we were started with, and the backend is to be */
};

/* Makes every module and starts the backend's life. Takes the fds. */
int worker_new(struct spec *spec_consume, const struct worker_fds *fds_consume, struct worker **ret);
struct worker *worker_free(struct worker *worker);
DEFINE_CLEANUP(struct worker, worker_free)

/* Runs until the session has ended; the exit status of the process. */
int worker_run(struct worker *worker);
