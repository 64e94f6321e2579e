#include "supervisor/tracking_internal.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/process_tree.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#define LOOK_AGAIN_USEC (100 * USEC_PER_MSEC)

int tracking_tree_open(void)
{
        _cleanup_free_ pid_t *children = NULL;
        size_t n;
        int r = process_children(getpid(), &children, &n);

        return r < 0 ? log_errno(r, "cannot track sessions by process tree: /proc shows no processes") : 0;
}

static void on_pidfd(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        tracked_check(userdata);
}

/* Watches the worker by a pidfd. Fails where none can be had, and says by -ESRCH that it is gone. */
static int pidfd_take(struct tracked *tracked, int pidfd_consume)
{
        _cleanup_fd_ int pidfd = pidfd_consume >= 0 ? pidfd_consume
                                                    : (int) syscall(SYS_pidfd_open, tracked->worker_pid, 0);

        if (pidfd < 0)
                return -errno;
        tracked->pidfd_event = event_new(tracked->tracking->base, pidfd, EV_READ, on_pidfd, tracked);
        if (!tracked->pidfd_event || event_add(tracked->pidfd_event, NULL) < 0) {
                tracked_tree_forget(tracked);
                return -ENOMEM;
        }
        tracked->worker_pidfd = TAKE_FD(pidfd);
        return 0;
}

void tracked_tree_set_worker(struct tracked *tracked, int pidfd_consume)
{
        tracked_tree_forget(tracked);
        free(tracked->description);
        if (asprintf(&tracked->description, "process tree of worker %d", tracked->worker_pid) < 0)
                tracked->description = NULL;
        if (pidfd_take(tracked, pidfd_consume) < 0)
                event_active(tracked->check_event, EV_TIMEOUT, 0);
}

void tracked_tree_forget(struct tracked *tracked)
{
        if (tracked->pidfd_event)
                event_free(tracked->pidfd_event);
        tracked->pidfd_event = NULL;
        tracked->worker_pidfd = fd_close(tracked->worker_pidfd);
}

/* Without a descriptor for its pidfd a worker that lives must not count as gone: this is looked at again. */
static bool is_unseen(struct tracked *tracked)
{
        struct timeval again = usec_to_timeval(LOOK_AGAIN_USEC);

        if (tracked->worker_pidfd >= 0 || tracked->worker_pid <= 0)
                return false;
        int r = pidfd_take(tracked, -1);

        if (r >= 0 || r == -ESRCH)
                return false;
        event_add(tracked->check_event, &again);
        return true;
}

bool tracked_tree_is_empty(struct tracked *tracked)
{
        if (is_unseen(tracked))
                return false;
        /* Readable means exited, a zombie included. */
        struct pollfd pollfd = { .fd = tracked->worker_pidfd, .events = POLLIN };

        return tracked->worker_pidfd < 0 || poll(&pollfd, 1, 0) > 0;
}

/* What descends from the worker, while the worker is there to tell; then itself. Those forked meanwhile are
 * strays a moment later. */
int tracked_tree_kill(struct tracked *tracked)
{
        if (tracked_tree_is_empty(tracked))
                return 0;
        if (tracked->worker_pidfd < 0)
                return -EMFILE;
        (void) process_kill_descendants(tracked->worker_pid);
        (void) syscall(SYS_pidfd_send_signal, tracked->worker_pidfd, SIGKILL, NULL, 0);
        return 0;
}

unsigned tracking_kill_strays(pid_t watch_pid, bool (*is_known)(pid_t pid, void *userdata), void *userdata)
{
        const pid_t parents[] = { getpid(), watch_pid };
        unsigned hit = 0;

        for (size_t i = 0; i < ELEMENTSOF(parents); i++) {
                _cleanup_free_ pid_t *children = NULL;
                size_t n = 0;

                if (parents[i] <= 0 || (parents[i] == watch_pid && getppid() != watch_pid))
                        continue;
                if (process_children(parents[i], &children, &n) < 0)
                        continue;
                for (size_t k = 0; k < n; k++)
                        if (children[k] != getpid() && !is_known(children[k], userdata))
                                hit += process_kill_child(children[k], parents[i]);
        }
        return hit;
}
