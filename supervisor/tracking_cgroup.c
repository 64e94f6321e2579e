#include "supervisor/tracking_internal.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/cgroup.h"

#include <fcntl.h>
#include <md5.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* ---- the root --------------------------------------------------------------------------------- */

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

/* Opens the root, made where it is ours; -EOPNOTSUPP where it is no use. */
static int open_root(struct tracking *t, const char *path)
{
        bool is_new = !t->is_lent && mkdir(path, 0755) == 0;

        if (!is_new && !t->is_lent && errno != EEXIST)
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
        if (!tracked_cgroup_is_empty(tracked))
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
                LIST_FOREACH(tracked, &t->by_watch[event->wd % TRACKING_WATCH_BUCKETS], entry)
                        if (tracked->watch == event->wd)
                                break;
                if (tracked)
                        tell_if_empty(tracked); /* may free it */
        }
}

int tracking_cgroup_open(struct tracking *t, const char *root, const char *runtime_dir)
{
        _cleanup_free_ char *path = NULL;
        int r;

        t->is_lent = root && root[0] != '/';
        if (!root)
                r = choose_root(runtime_dir, &path);
        else if (t->is_lent)
                r = cgroup_beside_own(root, &path);
        else
                r = (path = strdup(root)) ? 0 : -ENOMEM;
        if (r >= 0)
                r = open_root(t, path);
        if (r < 0)
                return r;
        tracking_controllers_open(t, !root);
        t->inotify_event = event_new(t->base, t->inotify_fd, EV_READ | EV_PERSIST, on_inotify, t);
        return t->inotify_event && event_add(t->inotify_event, NULL) >= 0 ? 0 : -ENOMEM;
}

void tracking_cgroup_close(struct tracking *t)
{
        if (t->inotify_event)
                event_free(t->inotify_event);
        fd_close(t->inotify_fd);
        fd_close(t->root_fd);
        free(t->root_path);
}

int tracking_open_routers(const struct tracking *t)
{
        if (!t->root_path)
                return -1;
        int r = cgroup_make(t->root_fd, CGROUP_ROUTERS, false);
        int fd = r < 0 ? -1 : openat(t->root_fd, CGROUP_ROUTERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                (void) log_warning_errno(r < 0 ? r : -errno, "routers have no cgroup of their own");
        return fd;
}

int tracking_remove_root(struct tracking *t)
{
        if (!t->root_path || t->is_lent)
                return 0; /* a lent one goes with the unit that owns it */
        int r = cgroup_remove(t->root_fd, ".");

        /* "." itself cannot be removed by that name. */
        if (r < 0 && r != -EINVAL)
                return r;
        return rmdir(t->root_path) < 0 && errno != ENOENT ? -errno : 0;
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
        LIST_INSERT_HEAD(&t->by_watch[tracked->watch % TRACKING_WATCH_BUCKETS], tracked, entry);
        return 0;
}

int tracked_cgroup_make(struct tracked *tracked, const char *server, const char *principal, const char *id,
                        bool is_adopted)
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
        if (r >= 0 && tracking_controllers_pass_on(t, tracked->path) < 0 && !is_adopted)
                r = -EOPNOTSUPP;
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

void tracked_cgroup_forget(struct tracked *tracked)
{
        if (tracked->watch >= 0) {
                LIST_REMOVE(tracked, entry);
                (void) inotify_rm_watch(tracked->tracking->inotify_fd, tracked->watch);
        }
        fd_close(tracked->worker_leaf_fd);
}

int tracked_open_backend_procs(const struct tracked *tracked)
{
        char file[4096];

        if (!tracked->tracking->root_path ||
            (size_t) snprintf(file, sizeof(file), "%s/backend/cgroup.procs", tracked->path) >= sizeof(file))
                return -1;
        return openat(tracked->tracking->root_fd, file, O_WRONLY | O_CLOEXEC);
}

bool tracked_cgroup_is_empty(const struct tracked *tracked)
{
        int r = cgroup_is_populated(tracked->tracking->root_fd, tracked->path);

        /* Removed is empty; that it cannot be read says nothing. */
        return r == 0 || r == -ENOENT || r == -ENODEV;
}

int tracked_cgroup_remove(struct tracked *tracked)
{
        struct tracking *t = tracked->tracking;
        char parent[4096];
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
