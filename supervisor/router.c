#include "supervisor/router.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/environment.h"
#include "supervisor/router_files.h"
#include "supervisor/spawn.h"
#include "supervisor/supervisor.h"
#include "supervisor/users.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#define CLAIM_USEC (3 * USEC_PER_SEC)   /* a running router without a connection makes one by then */
#define STOP_USEC (3 * USEC_PER_SEC)
#define SETTLED_USEC (5 * USEC_PER_SEC) /* a router that lived that long is replaced at once */
#define BACKOFF_MIN_USEC (10 * USEC_PER_MSEC)
#define BACKOFF_DOUBLINGS_MAX 9

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

void router_kill(struct router *router, const char *why)
{
        log_warning("router %u %s: killing it", router->slot, why);
        router_signal(router, SIGKILL);
}

/* ---- the end of a process --------------------------------------------------------------------- */

static void spawn_soon(struct router *router)
{
        bool was_settled = router->started_usec > 0 && now_usec() - router->started_usec >= SETTLED_USEC;

        router->attempt = was_settled ? 0 : router->attempt + 1;
        timer_set(router, router->attempt <= 1 ? 0 : BACKOFF_MIN_USEC << MIN_OF(router->attempt - 2,
                                                                              (unsigned) BACKOFF_DOUBLINGS_MAX));
}

static void forget_process(struct router *router)
{
        if (router->exit_event)
                event_free(router->exit_event);
        router->exit_event = NULL;
        children_remove(&router->child);
        router->pidfd = fd_close(router->pidfd);
        router->pid = 0;
        event_del(router->timer);
}

static void on_gone(struct router *router)
{
        forget_process(router);
        if (router->peer)
                peer_drop(router->peer);
        if (router->is_ending) {
                router_files_remove(router->supervisor->options.runtime, router->slot);
                router->on_over(router, router->userdata);
                return;
        }
        log_warning("router %u is gone", router->slot);
        router->supervisor->counters.routers_lost++;
        spawn_soon(router);
}

static void on_child_exit(struct child *child, _unused_ int code, _unused_ int status)
{
        on_gone((struct router *) ((char *) child - offsetof(struct router, child)));
}

static void on_pidfd(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        on_gone(userdata);
}

/* ---- its start -------------------------------------------------------------------------------- */

static int router_exec(struct router *router)
{
        struct supervisor *supervisor = router->supervisor;
        _cleanup_fd_ int cgroup_fd = tracking_open_routers(supervisor->tracking);
        _cleanup_free_ char **env = environment_make(NULL);
        _cleanup_free_ char *path = NULL;
        const struct account *account = users_router(supervisor->users);
        char slot[16], count[16], user[32];

        if (!env || asprintf(&path, "%s/envmux-router", supervisor->options.libexec) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        (void) snprintf(slot, sizeof(slot), "%u", router->slot);
        (void) snprintf(count, sizeof(count), "%zu", supervisor->listen.n_http);
        if (account)
                (void) snprintf(user, sizeof(user), "%u:%u", (unsigned) account->uid, (unsigned) account->gid);
        const char *const argv[] = {
                "envmux-router", "--slot", slot, "--token", router->token, "--listeners", count,
                account ? "--user" : NULL, user, NULL,
        };
        struct spawn_request request = {
                .path = path,
                .argv = argv,
                .envp = (const char *const *) env,
                .fds = supervisor->listen.http,
                .n_fds = supervisor->listen.n_http,
                .cgroup_fd = cgroup_fd,
                .output_fd = -1,
        };

        return spawn_process(&request, &router->pid, &router->pidfd);
}

static int router_spawn(struct router *router)
{
        struct supervisor *supervisor = router->supervisor;
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

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct router *router = userdata;

        if (router->pid > 0) {
                router_kill(router, router->is_ending ? "did not end in time" : "did not connect in time");
                return;
        }
        int r = router_spawn(router);

        if (r < 0)
                (void) log_errno(r, "cannot start router %u", router->slot);
        if (r < 0 && router->pid == 0)
                spawn_soon(router);
}

/* A router that an earlier supervisor started and that still runs. False: there is none. */
static bool router_adopt(struct router *router)
{
        const char *runtime = router->supervisor->options.runtime;

        router->pidfd = router_files_open(runtime, router->slot, router->token, &router->pid);
        if (router->pidfd < 0)
                return false;
        router->exit_event = event_new(router->supervisor->base, router->pidfd, EV_READ, on_pidfd, router);
        if (!router->exit_event || event_priority_set(router->exit_event, LOOP_LATE) < 0 ||
            event_add(router->exit_event, NULL) < 0) {
                router_signal(router, SIGKILL);
                forget_process(router);
                return false;
        }
        router->started_usec = now_usec();
        timer_set(router, CLAIM_USEC);
        return true;
}

int router_new(struct supervisor *supervisor, unsigned slot, void (*on_over)(struct router *router, void *userdata),
               void *userdata, struct router **ret)
{
        _cleanup_(router_freep) struct router *router = calloc(1, sizeof(*router));

        if (!router)
                return -ENOMEM;
        router->supervisor = supervisor;
        router->slot = slot;
        router->pidfd = -1;
        router->on_over = on_over;
        router->userdata = userdata;
        router->timer = event_new(supervisor->base, -1, 0, on_timer, router);
        /* Late: one that has connected while we were not looking is not taken for one that did not. */
        if (!router->timer || event_priority_set(router->timer, LOOP_LATE) < 0 || router_health_init(router) < 0)
                return -ENOMEM;
        if (!router_adopt(router))
                timer_set(router, 0);
        *ret = TAKE_PTR(router);
        return 0;
}

struct router *router_free(struct router *router)
{
        if (!router)
                return NULL;
        if (router->peer)
                router->peer->router = NULL;
        if (router->exit_event)
                event_free(router->exit_event);
        if (router->timer)
                event_free(router->timer);
        router_health_done(router);
        children_remove(&router->child);
        fd_close(router->pidfd);
        free(router);
        return NULL;
}

/* ---- connection and end ----------------------------------------------------------------------- */

void router_connected(struct router *router, struct peer *peer, uint32_t version)
{
        if (router->peer) {
                router->peer->router = NULL; /* it ended, and its EOF was not read yet */
                peer_drop(router->peer);
        }
        router->peer = peer;
        peer->router = router;
        router_health_begin(router, version);
        if (!router->is_ending)
                event_del(router->timer);
}

void router_disconnected(struct router *router)
{
        router->peer->router = NULL;
        router->peer = NULL;
        router_health_end(router);
        /* It died, which will be told by its exit, or it comes back. */
        if (router->pid > 0 && !router->is_ending)
                timer_set(router, CLAIM_USEC);
}

void router_end(struct router *router)
{
        if (router->is_ending)
                return;
        router->is_ending = true;
        if (router->pid == 0) {
                on_gone(router);
                return;
        }
        router_signal(router, SIGTERM);
        timer_set(router, STOP_USEC);
}

void router_keep(struct router *router)
{
        router->is_ending = false;
}
