/* One router: the process of a slot, started, adopted, replaced when it dies, ended. The set of them, and
 * what they are told, is routers.c.
 *
 * A former router is one whose slot another process has: it serves what it has accepted and ends with that. It
 * is not replaced. */
#pragma once

#include "supervisor/peers.h"
#include "supervisor/router_files.h"
#include "supervisor/router_health.h"

struct router;

/* It was ended, or was a former one and has ended, and is to be freed. */
typedef void (*router_over_fn)(struct router *router, void *userdata);

struct router {
        TAILQ_ENTRY(router) entry;
        struct supervisor *supervisor;
        unsigned slot;
        char name[ROUTER_NAME_SIZE]; /* of its file */
        struct router_file file;     /* what is in it; pid 0: none runs */
        int pidfd;
        struct event *exit_event;    /* on the pidfd of an adopted router */
        struct child child;
        struct event *timer;         /* to spawn again; or until it must have connected, or ended */
        usec_t started_usec;
        unsigned attempt;            /* short lives in a row */
        bool is_former;
        bool is_ending;              /* the slot goes with its process */
        bool has_answered;           /* a question that followed its dump: it accepts */
        struct peer *peer;           /* its connection */
        struct router_health health;
        struct ipc_router_status status;
        router_over_fn on_over;
        void *userdata;
};

/* Takes over the slot's running router (RUNTIME/routers/SLOT) or spawns one from the loop. */
int router_new(struct supervisor *supervisor, unsigned slot, router_over_fn on_over, void *userdata,
               struct router **ret);
/* Takes over a former one by the name of its file. -ESRCH: it is no more. */
int router_new_former(struct supervisor *supervisor, const char *name, unsigned slot, router_over_fn on_over,
                      void *userdata, struct router **ret);
/* Forgets; ends nothing. */
struct router *router_free(struct router *router);
DEFINE_CLEANUP(struct router, router_free)

/* Its connection came or went (peer_drop calls routers_hangup). */
void router_connected(struct router *router, struct peer *peer);
void router_disconnected(struct router *router);

/* Whether it runs another file than the one that would be started now. */
bool router_is_outdated(const struct router *router);

/* It gives its slot to another one, and goes on accepting until router_drain. */
int router_retire(struct router *router);

/* Tells it to accept no more and to end with its last connection. May be told again. */
void router_drain(struct router *router);

/* SIGKILL, with a word in the log: "router 0 WHY: killing it". Another one follows. */
void router_kill(struct router *router, const char *why);

/* SIGTERM now, SIGKILL a while later; on_over follows, at once when no process runs. */
void router_end(struct router *router);
