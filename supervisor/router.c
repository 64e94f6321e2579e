#include "supervisor/router.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/environment.h"
#include "supervisor/log_event.h"
#include "supervisor/router_files.h"
#include "supervisor/spawn.h"
#include "supervisor/supervisor.h"
#include "supervisor/users.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CLAIM_USEC (3 * USEC_PER_SEC)   /* a running router without a connection makes one by then */
#define STOP_USEC (3 * USEC_PER_SEC)
#define DRAIN_USEC USEC_PER_HOUR        /* for streams; calls have the longest request_timeout */
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
        router->file.pid = 0;
        event_del(router->timer);
}

static void on_gone(struct router *router)
{
        forget_process(router);
        if (router->peer)
                peer_drop(router->peer);
        if (router->is_ending || router->is_former) {
                router_files_remove(router->supervisor->options.runtime, router->name);
                router->on_over(router, router->userdata);
                return;
        }
        log_event(LOG_EVENT_ROUTER_LOST, "router %u is gone", router->slot);
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

static int find_program(const struct supervisor *supervisor, char **ret_path, struct stat *ret)
{
        if (asprintf(ret_path, "%s/envmux-router", supervisor->options.libexec) < 0) {
                *ret_path = NULL;
                return -ENOMEM;
        }
        return stat(*ret_path, ret) < 0 ? -errno : 0;
}

static int router_exec(struct router *router, const char *path)
{
        struct supervisor *supervisor = router->supervisor;
        _cleanup_fd_ int cgroup_fd = tracking_open_routers(supervisor->tracking);
        _cleanup_free_ char **env = environment_make(NULL);
        const struct account *account = users_router(supervisor->users);
        char slot[16], count[16], user[32];

        if (!env)
                return -ENOMEM;
        (void) snprintf(slot, sizeof(slot), "%u", router->slot);
        (void) snprintf(count, sizeof(count), "%zu", supervisor->listen.n_http);
        if (account)
                (void) snprintf(user, sizeof(user), "%u:%u", (unsigned) account->uid, (unsigned) account->gid);
        const char *const argv[] = {
                "envmux-router", "--slot", slot, "--token", router->file.token, "--listeners", count,
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

        return spawn_process(&request, &router->file.pid, &router->pidfd);
}

static int router_spawn(struct router *router)
{
        struct supervisor *supervisor = router->supervisor;
        struct router_file *file = &router->file;
        _cleanup_free_ char *path = NULL;
        struct stat st;
        int r = find_program(supervisor, &path, &st);

        if (r >= 0)
                r = session_make_token(file->token);
        if (r < 0)
                return r;
        file->device = st.st_dev;
        file->inode = st.st_ino;
        /* Before the clone without a pid, so that a successor of ours knows the token in any case. */
        r = router_files_write(supervisor->options.runtime, router->name, file);
        if (r >= 0)
                r = router_exec(router, path);
        if (r < 0)
                return r;
        children_add(supervisor->children, &router->child, file->pid, on_child_exit);
        router->started_usec = now_usec();
        timer_set(router, CLAIM_USEC);
        return router_files_write(supervisor->options.runtime, router->name, file);
}

bool router_is_outdated(const struct router *router)
{
        _cleanup_free_ char *path = NULL;
        struct stat st;

        return router->file.pid > 0 && find_program(router->supervisor, &path, &st) >= 0 &&
               (router->file.device != st.st_dev || router->file.inode != st.st_ino);
}

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct router *router = userdata;

        if (router->file.pid > 0) {
                router_kill(router, router->is_ending ? "did not end in time" : "did not connect in time");
                return;
        }
        int r = router_spawn(router);

        if (r < 0)
                (void) log_errno(r, "cannot start router %u", router->slot);
        if (r < 0 && router->file.pid == 0)
                spawn_soon(router);
}

/* A router that an earlier supervisor started and that still runs. False: there is none. */
static bool router_adopt(struct router *router)
{
        const char *runtime = router->supervisor->options.runtime;

        router->pidfd = router_files_open(runtime, router->name, &router->file);
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

static int router_make(struct supervisor *supervisor, const char *name, unsigned slot, router_over_fn on_over,
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
        if (STR_COPY(router->name, name) < 0 || !router->timer || event_priority_set(router->timer, LOOP_LATE) < 0 ||
            router_health_init(router) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(router);
        return 0;
}

int router_new(struct supervisor *supervisor, unsigned slot, router_over_fn on_over, void *userdata,
               struct router **ret)
{
        char name[ROUTER_NAME_SIZE];

        (void) snprintf(name, sizeof(name), "%u", slot);
        int r = router_make(supervisor, name, slot, on_over, userdata, ret);

        if (r >= 0 && !router_adopt(*ret))
                timer_set(*ret, 0);
        return r;
}

int router_new_former(struct supervisor *supervisor, const char *name, unsigned slot, router_over_fn on_over,
                      void *userdata, struct router **ret)
{
        _cleanup_(router_freep) struct router *router = NULL;
        int r = router_make(supervisor, name, slot, on_over, userdata, &router);

        if (r < 0)
                return r;
        router->is_former = true;
        if (!router_adopt(router))
                return -ESRCH;
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

void router_connected(struct router *router, struct peer *peer)
{
        if (router->peer) {
                router->peer->router = NULL; /* it ended, and its EOF was not read yet */
                peer_drop(router->peer);
        }
        router->peer = peer;
        peer->router = router;
        if (!router->is_ending)
                event_del(router->timer);
}

void router_disconnected(struct router *router)
{
        router->peer->router = NULL;
        router->peer = NULL;
        router_health_end(router);
        /* It died, which will be told by its exit, or it comes back. */
        if (router->file.pid > 0 && !router->is_ending)
                timer_set(router, CLAIM_USEC);
}

void router_end(struct router *router)
{
        if (router->is_ending)
                return;
        router->is_ending = true;
        if (router->file.pid == 0) {
                on_gone(router);
                return;
        }
        router_signal(router, SIGTERM);
        timer_set(router, STOP_USEC);
}

int router_retire(struct router *router)
{
        char name[ROUTER_NAME_SIZE];

        (void) snprintf(name, sizeof(name), "%u.%d", router->slot, (int) router->file.pid);
        int r = router_files_rename(router->supervisor->options.runtime, router->name, name);

        if (r < 0)
                return r;
        (void) STR_COPY(router->name, name);
        router->is_former = true;
        return 0;
}

/* Nothing that a client waits for takes longer, but streams may go on for ever. */
static usec_t drain_usec(const struct config *config)
{
        usec_t usec = DRAIN_USEC;

        for (size_t i = 0; i < config->n_servers; i++)
                if (config->servers[i]->request_usec != USEC_INFINITY)
                        usec = MAX_OF(usec, config->servers[i]->request_usec);
        return usec;
}

void router_drain(struct router *router)
{
        struct ipc_router_drain body = { .drain_usec = drain_usec(router->supervisor->config) };

        if (router->peer)
                (void) IPC_SEND(router->peer->channel, IPC_ROUTER_DRAIN, 0, &body);
}
