#include "supervisor/tracking.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/process_tree.h"
#include "supervisor/cgroup.h"

#include <fcntl.h>
#include <md5.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define WATCH_BUCKETS 1024

LIST_HEAD(tracked_list, tracked);

struct tracking {
        struct event_base *base;
        char *root_path;              /* NULL: process trees */
        int root_fd, inotify_fd;
        struct event *inotify_event;
        struct tracked_list by_watch[WATCH_BUCKETS];
        void (*on_empty)(struct tracked *tracked, void *userdata);
        void *userdata;
};

struct tracked {
        struct tracking *tracking;
        LIST_ENTRY(tracked) entry;
        char *path;                   /* SERVER/PRINCIPAL/ID below the root; NULL in process-tree mode */
        char *description;
        int watch;                    /* inotify, -1 */
        int worker_leaf_fd;           /* open only between tracked_new and tracked_set_worker */
        pid_t worker_pid;
        int worker_pidfd;             /* process-tree mode only */
        struct event *pidfd_event, *check_event;
        bool was_populated, is_told;
        void *userdata;
};

/* ---- the tree --------------------------------------------------------------------------------- */

static int choose_root(const char *runtime_dir, char **ret)
{
        _cleanup_free_ char *own = NULL;
        char digest[MD5_DIGEST_STRING_LENGTH];
        int r = cgroup_own_path(&own);

        if (r < 0)
                return r;
        MD5Data((const uint8_t *) runtime_dir, strlen(runtime_dir), digest);
        return asprintf(ret, "%s/envmux-%.12s", own, digest) < 0 ? -ENOMEM : 0;
}

/* Where this kernel's or user's cgroups do not serve. */
static int refuse_root(const char *path, bool is_new)
{
        if (is_new)
                (void) rmdir(path);
        return -EOPNOTSUPP;
}

/* Opens or makes the root; -EOPNOTSUPP where it is no use. */
static int open_root(struct tracking *t, const char *path)
{
        bool is_new = mkdir(path, 0755) == 0;

        if (!is_new && errno != EEXIST)
                return -errno;
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (faccessat(fd, "cgroup.kill", W_OK, 0) < 0 || faccessat(fd, ".", W_OK, 0) < 0)
                return refuse_root(path, is_new);
        t->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (t->inotify_fd < 0)
                return -errno;
        t->root_path = strdup(path);
        if (!t->root_path)
                return -ENOMEM;
        t->root_fd = TAKE_FD(fd);
        return 0;
}

static void tell_if_empty(struct tracked *tracked)
{
        if (!tracked_is_empty(tracked))
                tracked->was_populated = true;
        else if (tracked->was_populated && !tracked->is_told) {
                tracked->is_told = true;
                tracked->tracking->on_empty(tracked, tracked->tracking->userdata);
        }
}

static void on_inotify(evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct tracking *t = userdata;
        _Alignas(struct inotify_event) char buf[16 * 1024];
        ssize_t n = read(fd, buf, sizeof(buf));

        for (ssize_t at = 0; at < n;) {
                const struct inotify_event *event = (const struct inotify_event *) (const void *) (buf + at);
                struct tracked *tracked;

                at += (ssize_t) (sizeof(*event) + event->len);
                if (event->wd < 0 || event->mask & IN_IGNORED)
                        continue;
                LIST_FOREACH(tracked, &t->by_watch[event->wd % WATCH_BUCKETS], entry)
                        if (tracked->watch == event->wd)
                                break;
                if (tracked)
                        tell_if_empty(tracked); /* may free it */
        }
}

int tracking_mode_parse(const char *text, enum tracking_mode *ret)
{
        static const char *const names[] = {
                [TRACKING_AUTO] = "auto",
                [TRACKING_CGROUP] = "cgroup",
                [TRACKING_PROCESS_TREE] = "process-tree",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(text, names[i])) {
                        *ret = (enum tracking_mode) i;
                        return 0;
                }
        return -EINVAL;
}

static int use_cgroups(struct tracking *t, const char *root, const char *runtime_dir)
{
        _cleanup_free_ char *chosen = NULL;
        int r = root ? 0 : choose_root(runtime_dir, &chosen);

        if (r >= 0)
                r = open_root(t, root ? root : chosen);
        if (r < 0)
                return r;
        t->inotify_event = event_new(t->base, t->inotify_fd, EV_READ | EV_PERSIST, on_inotify, t);
        return t->inotify_event && event_add(t->inotify_event, NULL) >= 0 ? 0 : -ENOMEM;
}

static int use_process_trees(void)
{
        _cleanup_free_ pid_t *children = NULL;
        size_t n;
        int r = process_children(getpid(), &children, &n);

        return r < 0 ? log_errno(r, "cannot track sessions by process tree: /proc shows no processes") : 0;
}

int tracking_new(struct event_base *base, enum tracking_mode mode, const char *cgroup_root, const char *runtime_dir,
                 void (*on_empty)(struct tracked *tracked, void *userdata), void *userdata, struct tracking **ret)
{
        _cleanup_(tracking_freep) struct tracking *t = calloc(1, sizeof(*t));
        int r = -EOPNOTSUPP;

        if (!t)
                return -ENOMEM;
        t->base = base;
        t->root_fd = t->inotify_fd = -1;
        t->on_empty = on_empty;
        t->userdata = userdata;
        if (mode != TRACKING_PROCESS_TREE)
                r = use_cgroups(t, cgroup_root, runtime_dir);
        if (r < 0 && (mode == TRACKING_CGROUP || (mode == TRACKING_AUTO && cgroup_root))) /* asked for: no fallback */
                return log_errno(r, "cannot track sessions by cgroup%s%s", cgroup_root ? ": " : "",
                                 cgroup_root ? cgroup_root : "");
        if (r == -ENOMEM)
                return r;
        if (!t->root_path) {
                r = use_process_trees();
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(t);
        return 0;
}

struct tracking *tracking_free(struct tracking *t)
{
        if (!t)
                return NULL;
        if (t->inotify_event)
                event_free(t->inotify_event);
        fd_close(t->inotify_fd);
        fd_close(t->root_fd);
        free(t->root_path);
        free(t);
        return NULL;
}

int tracking_remove_root(struct tracking *t)
{
        if (!t->root_path)
                return 0;
        int r = cgroup_remove(t->root_fd, ".");

        /* "." itself cannot be removed by that name. */
        if (r < 0 && r != -EINVAL)
                return r;
        return rmdir(t->root_path) < 0 && errno != ENOENT ? -errno : 0;
}

bool tracking_has_cgroups(const struct tracking *t)
{
        return t->root_path != NULL;
}

/* One level of the walk ROOT → server → principal → session. */
struct list_walk {
        struct tracking *tracking;
        unsigned level;
        char path[4096];
        char names[2][IPC_PRINCIPAL_SIZE * 3];
        int (*found)(const char *server, const char *principal, const char *id, void *userdata);
        void *userdata;
};

static int on_list_folder(const char *name, void *userdata)
{
        struct list_walk *walk = userdata;

        if (walk->level == 2)
                return walk->found(walk->names[0], walk->names[1], name, walk->userdata);

        struct list_walk below = *walk;
        int r = cgroup_name_unescape(name, below.names[walk->level], sizeof(below.names[0]));

        if (r < 0)
                return 0; /* not one of ours */
        if ((size_t) snprintf(below.path, sizeof(below.path), "%s/%s", walk->path, name) >= sizeof(below.path))
                return -ENAMETOOLONG;
        below.level++;
        return cgroup_each_child(walk->tracking->root_fd, below.path, on_list_folder, &below);
}

int tracking_list(struct tracking *t,
                  int (*found)(const char *server, const char *principal, const char *id, void *userdata), void *userdata)
{
        struct list_walk walk = { .tracking = t, .path = ".", .found = found, .userdata = userdata };

        return t->root_path ? cgroup_each_child(t->root_fd, ".", on_list_folder, &walk) : 0;
}

/* ---- one session ------------------------------------------------------------------------------ */

static int make_leaf(struct tracking *t, const char *path, const char *leaf)
{
        char leaf_path[4096];

        if ((size_t) snprintf(leaf_path, sizeof(leaf_path), "%s/%s", path, leaf) >= sizeof(leaf_path))
                return -ENAMETOOLONG;
        return cgroup_make(t->root_fd, leaf_path, false);
}

static int watch_events(struct tracked *tracked)
{
        struct tracking *t = tracked->tracking;
        _cleanup_free_ char *file = NULL;

        if (asprintf(&file, "%s/%s/cgroup.events", t->root_path, tracked->path) < 0) {
                file = NULL;
                return -ENOMEM;
        }
        tracked->watch = inotify_add_watch(t->inotify_fd, file, IN_MODIFY);
        if (tracked->watch < 0)
                return -errno;
        LIST_INSERT_HEAD(&t->by_watch[tracked->watch % WATCH_BUCKETS], tracked, entry);
        return 0;
}

static int cgroups_make(struct tracked *tracked, const char *server, const char *principal, const char *id, bool is_adopted)
{
        struct tracking *t = tracked->tracking;
        char server_name[IPC_SERVER_SIZE * 3], principal_name[IPC_PRINCIPAL_SIZE * 3];
        int r = cgroup_name_escape(server, server_name, sizeof(server_name));

        if (r >= 0)
                r = cgroup_name_escape(principal, principal_name, sizeof(principal_name));
        if (r < 0)
                return r;
        if (asprintf(&tracked->path, "%s/%s/%s", server_name, principal_name, id) < 0) {
                tracked->path = NULL;
                return -ENOMEM;
        }
        if (asprintf(&tracked->description, "%s/%s", t->root_path, tracked->path) < 0) {
                tracked->description = NULL;
                return -ENOMEM;
        }
        r = cgroup_make(t->root_fd, tracked->path, !is_adopted);
        if (r >= 0)
                r = make_leaf(t, tracked->path, "worker");
        if (r >= 0)
                r = make_leaf(t, tracked->path, "backend");
        if (r >= 0)
                r = watch_events(tracked);
        if (r < 0)
                return r;
        tracked->was_populated = is_adopted;
        if (is_adopted)
                return 0;

        _cleanup_free_ char *leaf = NULL;

        if (asprintf(&leaf, "%s/worker", tracked->path) < 0) {
                leaf = NULL;
                return -ENOMEM;
        }
        tracked->worker_leaf_fd = openat(t->root_fd, leaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return tracked->worker_leaf_fd < 0 ? -errno : 0;
}

static void on_check(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct tracked *tracked = userdata;

        if (tracked->is_told || !tracked_is_empty(tracked))
                return;
        tracked->is_told = true;
        tracked->tracking->on_empty(tracked, tracked->tracking->userdata);
}

int tracked_new(struct tracking *t, const char *server, const char *principal, const char *id, bool is_adopted,
                void *userdata, struct tracked **ret)
{
        _cleanup_(tracked_freep) struct tracked *tracked = calloc(1, sizeof(*tracked));

        if (!tracked)
                return -ENOMEM;
        tracked->tracking = t;
        tracked->userdata = userdata;
        tracked->watch = tracked->worker_leaf_fd = tracked->worker_pidfd = -1;
        tracked->check_event = event_new(t->base, -1, 0, on_check, tracked);
        if (!tracked->check_event)
                return -ENOMEM;
        if (t->root_path) {
                int r = cgroups_make(tracked, server, principal, id, is_adopted);

                if (r < 0) {
                        /* Nobody else would know of what was made. */
                        if (tracked->path && !is_adopted && r != -EEXIST)
                                (void) tracked_remove(tracked);
                        return r;
                }
        }
        *ret = TAKE_PTR(tracked);
        return 0;
}

struct tracked *tracked_free(struct tracked *tracked)
{
        if (!tracked)
                return NULL;
        if (tracked->watch >= 0) {
                LIST_REMOVE(tracked, entry);
                (void) inotify_rm_watch(tracked->tracking->inotify_fd, tracked->watch);
        }
        if (tracked->check_event)
                event_free(tracked->check_event);
        if (tracked->pidfd_event)
                event_free(tracked->pidfd_event);
        fd_close(tracked->worker_leaf_fd);
        fd_close(tracked->worker_pidfd);
        free(tracked->path);
        free(tracked->description);
        free(tracked);
        return NULL;
}

void *tracked_userdata(const struct tracked *tracked)
{
        return tracked->userdata;
}

int tracked_worker_cgroup_fd(const struct tracked *tracked)
{
        return tracked->worker_leaf_fd;
}

int tracked_open_backend_procs(const struct tracked *tracked)
{
        char file[4096];

        if (!tracked->tracking->root_path ||
            (size_t) snprintf(file, sizeof(file), "%s/backend/cgroup.procs", tracked->path) >= sizeof(file))
                return -1;
        return openat(tracked->tracking->root_fd, file, O_WRONLY | O_CLOEXEC);
}

void tracked_set_worker(struct tracked *tracked, pid_t pid, int pidfd_consume)
{
        _cleanup_fd_ int pidfd = pidfd_consume;

        tracked->worker_pid = pid;
        tracked->worker_leaf_fd = fd_close(tracked->worker_leaf_fd);
        /* A worker that died before the first notification was read must still be noticed. */
        tracked->was_populated = true;
        if (tracked->tracking->root_path) {
                event_active(tracked->check_event, EV_TIMEOUT, 0);
                return;
        }
        if (tracked->pidfd_event)
                event_free(tracked->pidfd_event);
        tracked->pidfd_event = NULL;
        tracked->worker_pidfd = fd_close(tracked->worker_pidfd);
        free(tracked->description);
        if (asprintf(&tracked->description, "process tree of worker %d", pid) < 0)
                tracked->description = NULL;
        if (pidfd < 0)
                pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        if (pidfd >= 0)
                tracked->pidfd_event = event_new(tracked->tracking->base, pidfd, EV_READ, on_check, tracked);
        if (tracked->pidfd_event && event_add(tracked->pidfd_event, NULL) == 0)
                tracked->worker_pidfd = TAKE_FD(pidfd);
        else
                event_active(tracked->check_event, EV_TIMEOUT, 0);
}

pid_t tracked_worker_pid(const struct tracked *tracked)
{
        return tracked->worker_pid;
}

/* What descends from the worker, while the worker is there to tell; then itself. Those forked meanwhile are
 * strays a moment later. */
static void kill_tree(const struct tracked *tracked)
{
        (void) process_kill_descendants(tracked->worker_pid);
        (void) syscall(SYS_pidfd_send_signal, tracked->worker_pidfd, SIGKILL, NULL, 0);
}

int tracked_kill(struct tracked *tracked)
{
        int r = 0;

        tracked->was_populated = true;
        if (tracked->tracking->root_path)
                r = cgroup_kill(tracked->tracking->root_fd, tracked->path);
        else if (tracked->worker_pidfd >= 0 && !tracked_is_empty(tracked))
                kill_tree(tracked);
        event_active(tracked->check_event, EV_TIMEOUT, 0);
        return r;
}

bool tracked_is_empty(struct tracked *tracked)
{
        if (tracked->tracking->root_path) {
                int r = cgroup_is_populated(tracked->tracking->root_fd, tracked->path);

                /* Removed is empty; that it cannot be read says nothing. */
                return r == 0 || r == -ENOENT || r == -ENODEV;
        }
        /* Readable means exited, a zombie included. */
        struct pollfd pollfd = { .fd = tracked->worker_pidfd, .events = POLLIN };

        return tracked->worker_pidfd < 0 || poll(&pollfd, 1, 0) > 0;
}

int tracked_remove(struct tracked *tracked)
{
        struct tracking *t = tracked->tracking;
        char parent[4096];

        if (!t->root_path)
                return tracked_is_empty(tracked) ? 0 : -EBUSY;
        int r = cgroup_remove(t->root_fd, tracked->path);

        if (r < 0)
                return r;
        /* The principal's and the server's folder go with their last session. */
        (void) STR_COPY(parent, tracked->path);
        for (char *slash; (slash = strrchr(parent, '/'));) {
                *slash = '\0';
                if (unlinkat(t->root_fd, parent, AT_REMOVEDIR) < 0)
                        break;
        }
        return 0;
}

const char *tracked_describe(const struct tracked *tracked)
{
        return tracked->description ? tracked->description : "process tree";
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
