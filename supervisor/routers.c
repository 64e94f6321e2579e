#include "supervisor/routers.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/environment.h"
#include "supervisor/router_files.h"
#include "supervisor/router_push.h"
#include "supervisor/spawn.h"
#include "supervisor/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CLAIM_USEC (3 * USEC_PER_SEC)   /* a running router without a connection makes one by then */
#define STOP_USEC (3 * USEC_PER_SEC)
#define SETTLED_USEC (5 * USEC_PER_SEC) /* a router that lived that long is replaced at once */
#define BACKOFF_MIN_USEC (10 * USEC_PER_MSEC)
#define BACKOFF_DOUBLINGS_MAX 9

/* One slot. A process runs while pid > 0; it is connected while peer is set. */
struct router {
        TAILQ_ENTRY(router) entry;
        struct routers *routers;
        unsigned slot, attempt;
        char token[IPC_TOKEN_SIZE];
        pid_t pid;
        int pidfd;
        struct event *exit_event;    /* on the pidfd: an adopted router is not our child */
        struct child child;
        struct event *timer;         /* spawn again, or claim or stop deadline */
        usec_t started_usec;
        struct peer *peer;
        struct ipc_router_status status;
        bool is_surplus;             /* the slot goes with its process */
};

struct routers {
        struct supervisor *supervisor;
        struct session_observer observer;
        TAILQ_HEAD(, router) list;
        struct event *down_event;
        bool was_up, is_stopping;
        void (*on_up)(struct supervisor *supervisor);
        void (*on_down)(struct supervisor *supervisor);
};

static void router_spawn_soon(struct router *router);

static void timer_set(struct router *router, usec_t usec)
{
        struct timeval timeout = usec_to_timeval(usec);

        event_add(router->timer, &timeout);
}

static void router_signal(const struct router *router, int signal)
{
        if (router->pidfd >= 0)
                (void) syscall(SYS_pidfd_send_signal, router->pidfd, signal, NULL, 0);
}

/* ---- a slot's process ------------------------------------------------------------------------- */

static struct router *router_free(struct router *router)
{
        TAILQ_REMOVE(&router->routers->list, router, entry);
        if (router->exit_event)
                event_free(router->exit_event);
        if (router->timer)
                event_free(router->timer);
        children_remove(&router->child);
        fd_close(router->pidfd);
        free(router);
        return NULL;
}

static void router_forget_process(struct router *router)
{
        if (router->exit_event)
                event_free(router->exit_event);
        router->exit_event = NULL;
        children_remove(&router->child);
        router->pidfd = fd_close(router->pidfd);
        router->pid = 0;
        event_del(router->timer);
}

static void router_gone(struct router *router)
{
        struct routers *routers = router->routers;

        router_forget_process(router);
        if (router->peer)
                peer_drop(router->peer);
        if (routers->is_stopping || router->is_surplus) {
                router_files_remove(routers->supervisor->options.runtime, router->slot);
                router_free(router);
                if (TAILQ_EMPTY(&routers->list) && routers->is_stopping)
                        event_active(routers->down_event, EV_TIMEOUT, 0);
                return;
        }
        log_warning("router %u is gone", router->slot);
        routers->supervisor->counters.routers_lost++;
        router_spawn_soon(router);
}

static void on_child_exit(struct child *child, _unused_ int code, _unused_ int status)
{
        router_gone((struct router *) ((char *) child - offsetof(struct router, child)));
}

static void on_pidfd(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        router_gone(userdata);
}

static int router_watch(struct router *router)
{
        router->exit_event = event_new(router->routers->supervisor->base, router->pidfd, EV_READ, on_pidfd, router);
        if (!router->exit_event || event_priority_set(router->exit_event, LOOP_LATE) < 0 ||
            event_add(router->exit_event, NULL) < 0)
                return -ENOMEM;
        return 0;
}

static int router_exec(struct router *router)
{
        struct supervisor *supervisor = router->routers->supervisor;
        _cleanup_free_ char **env = environment_make(NULL);
        _cleanup_free_ char *path = NULL;
        char slot[16], count[16];

        if (!env || asprintf(&path, "%s/envmux-router", supervisor->options.libexec) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        (void) snprintf(slot, sizeof(slot), "%u", router->slot);
        (void) snprintf(count, sizeof(count), "%zu", supervisor->listen.n_http);
        const char *const argv[] = { "envmux-router", "--slot", slot, "--token", router->token, "--listeners", count, NULL };
        struct spawn_request request = {
                .path = path,
                .argv = argv,
                .envp = (const char *const *) env,
                .fds = supervisor->listen.http,
                .n_fds = supervisor->listen.n_http,
                .cgroup_fd = -1,
                .output_fd = -1,
        };

        return spawn_process(&request, &router->pid, &router->pidfd);
}

static int router_spawn(struct router *router)
{
        struct supervisor *supervisor = router->routers->supervisor;
        int r = session_make_token(router->token);

        /* Before the clone without a pid, so that a successor of ours knows the token in any case. */
        if (r >= 0)
                r = router_files_write(supervisor->options.runtime, router->slot, router->token, 0);
        if (r >= 0)
                r = router_exec(router);
        if (r < 0)
                return r;
        children_add(supervisor->children, &router->child, router->pid, on_child_exit);
        router->started_usec = now_usec();
        timer_set(router, CLAIM_USEC);
        return router_files_write(supervisor->options.runtime, router->slot, router->token, router->pid);
}

static void router_spawn_soon(struct router *router)
{
        bool was_settled = router->started_usec > 0 && now_usec() - router->started_usec >= SETTLED_USEC;

        router->attempt = was_settled ? 0 : router->attempt + 1;
        if (router->attempt > 1)
                timer_set(router, BACKOFF_MIN_USEC << MIN_OF(router->attempt - 2, (unsigned) BACKOFF_DOUBLINGS_MAX));
        else
                timer_set(router, 0);
}

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct router *router = userdata;

        if (router->pid > 0) {
                log_warning("router %u did not %s in time: killing it", router->slot,
                            router->routers->is_stopping || router->is_surplus ? "end" : "connect");
                router_signal(router, SIGKILL);
                return;
        }
        int r = router_spawn(router);

        if (r < 0) {
                (void) log_errno(r, "cannot start router %u", router->slot);
                if (router->pid == 0)
                        router_spawn_soon(router);
        }
}

static int router_new(struct routers *routers, unsigned slot, struct router **ret)
{
        struct router *router = calloc(1, sizeof(*router));

        if (!router)
                return -ENOMEM;
        router->routers = routers;
        router->slot = slot;
        router->pidfd = -1;
        TAILQ_INSERT_TAIL(&routers->list, router, entry);
        router->timer = event_new(routers->supervisor->base, -1, 0, on_timer, router);
        if (!router->timer) {
                router_free(router);
                return -ENOMEM;
        }
        *ret = router;
        return 0;
}

/* A router that an earlier supervisor started and that still runs. False: there is none. */
static bool router_adopt(struct router *router)
{
        const char *runtime = router->routers->supervisor->options.runtime;

        router->pidfd = router_files_open(runtime, router->slot, router->token, &router->pid);
        if (router->pidfd < 0)
                return false;
        if (router_watch(router) < 0) {
                router_signal(router, SIGKILL);
                router_forget_process(router);
                return false;
        }
        router->started_usec = now_usec();
        timer_set(router, CLAIM_USEC);
        return true;
}

static int routers_add(struct routers *routers, unsigned slot)
{
        struct router *router;
        int r = router_new(routers, slot, &router);

        if (r >= 0 && !router_adopt(router))
                timer_set(router, 0);
        return r;
}

/* ---- connections ------------------------------------------------------------------------------ */

struct router *routers_find(struct routers *routers, unsigned slot, const char *token)
{
        struct router *router;

        TAILQ_FOREACH(router, &routers->list, entry)
                if (router->slot == slot)
                        return session_token_equal(router->token, token) ? router : NULL;
        return NULL;
}

unsigned routers_count_connected(const struct routers *routers)
{
        const struct router *router;
        unsigned n = 0;

        TAILQ_FOREACH(router, &routers->list, entry)
                n += router->peer != NULL;
        return n;
}

int routers_hello(struct peer *peer, struct router *router)
{
        struct routers *routers = router->routers;
        struct ipc_welcome welcome = { .version = IPC_VERSION };

        if (router->peer) {
                router->peer->router = NULL; /* it ended, and its EOF was not read yet */
                peer_drop(router->peer);
        }
        router->peer = peer;
        peer->router = router;
        if (!router->is_surplus && !routers->is_stopping)
                event_del(router->timer);
        (void) IPC_SEND(peer->channel, IPC_WELCOME, 0, &welcome);
        router_push_dump(peer);
        if (!routers->was_up && routers_count_connected(routers) >= routers->supervisor->config->routers) {
                routers->was_up = true;
                routers->on_up(routers->supervisor);
        }
        return 0;
}

void routers_hangup(struct peer *peer)
{
        struct router *router = peer->router;

        if (!router)
                return;
        router->peer = NULL;
        peer->router = NULL;
        /* It died, which its pidfd will say, or it comes back. */
        if (router->pid > 0 && !router->is_surplus && !router->routers->is_stopping)
                timer_set(router, CLAIM_USEC);
}

int routers_on_status(struct peer *peer, const struct ipc_message *m)
{
        if (peer->router)
                peer->router->status = *(const struct ipc_router_status *) m->body;
        return 0;
}

struct ipc_router_status routers_status(const struct routers *routers)
{
        struct ipc_router_status sum = { 0 };
        const struct router *router;

        TAILQ_FOREACH(router, &routers->list, entry) {
                sum.clients += router->status.clients;
                sum.in_flight += router->status.in_flight;
                sum.requests += router->status.requests;
        }
        return sum;
}

bool routers_know_pid(const struct routers *routers, pid_t pid)
{
        const struct router *router;

        TAILQ_FOREACH(router, &routers->list, entry)
                if (router->pid == pid)
                        return true;
        return false;
}

/* ---- what they are told ----------------------------------------------------------------------- */

/* Calls push for the connection of each router. */
#define FOR_EACH_PEER(routers, peer_var)                                         \
        for (struct router *_r = TAILQ_FIRST(&(routers)->list); _r; _r = TAILQ_NEXT(_r, entry)) \
                for (struct peer *peer_var = _r->peer; peer_var; peer_var = NULL)

static void on_change(struct session *s, _unused_ enum session_state old, void *userdata)
{
        struct routers *routers = userdata;

        if (session_is_reachable(s) && !s->is_announced) {
                s->is_announced = true;
                FOR_EACH_PEER(routers, peer)
                        router_push_session(peer, s);
        } else if (!session_state_is_open(s->state) && s->is_announced) {
                s->is_announced = false;
                FOR_EACH_PEER(routers, peer)
                        router_push_gone(peer, s);
        }
}

void routers_push_alias(struct routers *routers, const struct session *s, enum key_kind kind, const char *key,
                        bool is_removed)
{
        if (!s->is_announced)
                return;
        FOR_EACH_PEER(routers, peer)
                router_push_alias(peer, s, kind, key, is_removed);
}

usec_t routers_resolve_usec(const struct supervisor *supervisor)
{
        return router_resolve_usec(supervisor->config);
}

/* ---- all of them ------------------------------------------------------------------------------ */

static void on_down_event(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct routers *routers = userdata;

        routers->on_down(routers->supervisor);
}

int routers_new(struct supervisor *supervisor, void (*on_up)(struct supervisor *supervisor), struct routers **ret)
{
        _cleanup_(routers_freep) struct routers *routers = calloc(1, sizeof(*routers));

        if (!routers)
                return -ENOMEM;
        routers->supervisor = supervisor;
        routers->on_up = on_up;
        routers->observer.on_change = on_change;
        routers->observer.userdata = routers;
        TAILQ_INIT(&routers->list);
        supervisor_observe(supervisor, &routers->observer);
        routers->down_event = event_new(supervisor->base, -1, 0, on_down_event, routers);
        if (!routers->down_event)
                return -ENOMEM;
        for (unsigned slot = 0; slot < supervisor->config->routers; slot++) {
                int r = routers_add(routers, slot);

                if (r < 0)
                        return r;
        }
        router_files_clean(supervisor->options.runtime, supervisor->config->routers);
        *ret = TAKE_PTR(routers);
        return 0;
}

struct routers *routers_free(struct routers *routers)
{
        if (!routers)
                return NULL;
        supervisor_unobserve(routers->supervisor, &routers->observer);
        for (struct router *router; (router = TAILQ_FIRST(&routers->list));) {
                if (router->peer)
                        router->peer->router = NULL;
                router_free(router);
        }
        if (routers->down_event)
                event_free(routers->down_event);
        free(routers);
        return NULL;
}

static void router_end(struct router *router)
{
        if (router->pid == 0) {
                router_gone(router);
                return;
        }
        router_signal(router, SIGTERM);
        timer_set(router, STOP_USEC);
}

void routers_reconfigure(struct routers *routers)
{
        unsigned wanted = routers->supervisor->config->routers, have = 0;
        struct router *router = TAILQ_FIRST(&routers->list);

        while (router) {
                struct router *next = TAILQ_NEXT(router, entry);

                if (router->slot < wanted) {
                        router->is_surplus = false;
                        have = MAX_OF(have, router->slot + 1);
                        if (router->peer)
                                router_push_dump(router->peer);
                } else if (!router->is_surplus) {
                        router->is_surplus = true;
                        router_end(router);
                }
                router = next;
        }
        for (unsigned slot = have; slot < wanted; slot++) {
                int r = routers_add(routers, slot);

                if (r < 0)
                        (void) log_errno(r, "cannot add router %u", slot);
        }
}

void routers_stop(struct routers *routers, void (*on_down)(struct supervisor *supervisor))
{
        struct router *router = TAILQ_FIRST(&routers->list);

        routers->is_stopping = true;
        routers->on_down = on_down;
        if (!router)
                event_active(routers->down_event, EV_TIMEOUT, 0);
        while (router) {
                struct router *next = TAILQ_NEXT(router, entry);

                router_end(router);
                router = next;
        }
}

bool routers_are_stopping(const struct routers *routers)
{
        return routers->is_stopping;
}
