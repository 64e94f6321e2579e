/* One router: the process of a slot, started, adopted, replaced when it dies, ended. The set of them, and
 * what they are told, is routers.c. */
#pragma once

#include "supervisor/peers.h"
#include "supervisor/router_health.h"

struct router {
        TAILQ_ENTRY(router) entry;
        struct supervisor *supervisor;
        unsigned slot;
        char token[IPC_TOKEN_SIZE];
        pid_t pid;                   /* 0: none runs */
        int pidfd;
        struct event *exit_event;    /* on the pidfd of an adopted router, which is not our child */
        struct child child;
        struct event *timer;         /* to spawn again; or until it must have connected, or ended */
        usec_t started_usec;
        unsigned attempt;            /* short lives in a row */
        bool is_ending;              /* the slot goes with its process */
        struct peer *peer;           /* its connection */
        struct router_health health;
        struct ipc_router_status status;
        void (*on_over)(struct router *router, void *userdata);
        void *userdata;
};

/* Takes over the slot's running router (RUNTIME/routers/SLOT) or spawns one from the loop. on_over: it was
 * ended with router_end and is to be freed. */
int router_new(struct supervisor *supervisor, unsigned slot, void (*on_over)(struct router *router, void *userdata),
               void *userdata, struct router **ret);
/* Forgets; ends nothing. */
struct router *router_free(struct router *router);
DEFINE_CLEANUP(struct router, router_free)

/* Its connection came, of a router of that IPC_VERSION, or went (peer_drop calls routers_hangup). */
void router_connected(struct router *router, struct peer *peer, uint32_t version);
void router_disconnected(struct router *router);

/* SIGKILL, with a word in the log: "router 0 WHY: killing it". Another one follows. */
void router_kill(struct router *router, const char *why);

/* SIGTERM now, SIGKILL a while later; on_over follows, at once when no process runs. */
void router_end(struct router *router);

/* A slot that was being ended is wanted after all: its process is replaced once it is gone. */
void router_keep(struct router *router);
