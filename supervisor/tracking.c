#include "supervisor/tracking_internal.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/cgroup.h"

#include <stdio.h>

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
                r = tracking_cgroup_open(t, cgroup_root, runtime_dir);
        if (r < 0 && (mode == TRACKING_CGROUP || (mode == TRACKING_AUTO && cgroup_root))) /* asked for: no fallback */
                return log_errno(r, "cannot track sessions by cgroup%s%s", cgroup_root ? ": " : "",
                                 cgroup_root ? cgroup_root : "");
        if (r == -ENOMEM)
                return r;
        if (!t->root_path) {
                r = tracking_tree_open();
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
        tracking_cgroup_close(t);
        free(t);
        return NULL;
}

bool tracking_has_cgroups(const struct tracking *t)
{
        return t->root_path != NULL;
}

/* ---- one session ------------------------------------------------------------------------------ */

void tracked_check(struct tracked *tracked)
{
        if (tracked->is_told || !tracked_is_empty(tracked))
                return;
        tracked->is_told = true;
        tracked->tracking->on_empty(tracked, tracked->tracking->userdata);
}

static void on_check(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        tracked_check(userdata);
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
                int r = tracked_cgroup_make(tracked, server, principal, id, is_adopted);

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
        tracked_cgroup_forget(tracked);
        tracked_tree_forget(tracked);
        if (tracked->check_event)
                event_free(tracked->check_event);
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

void tracked_set_worker(struct tracked *tracked, pid_t pid, int pidfd_consume)
{
        _cleanup_fd_ int pidfd = pidfd_consume;

        tracked->worker_pid = pid;
        tracked->worker_leaf_fd = fd_close(tracked->worker_leaf_fd);
        /* A worker that died before the first notification was read must still be noticed. */
        tracked->was_populated = true;
        if (tracked->tracking->root_path)
                event_active(tracked->check_event, EV_TIMEOUT, 0);
        else
                tracked_tree_set_worker(tracked, TAKE_FD(pidfd));
}

pid_t tracked_worker_pid(const struct tracked *tracked)
{
        return tracked->worker_pid;
}

int tracked_kill(struct tracked *tracked)
{
        struct tracking *t = tracked->tracking;

        tracked->was_populated = true;
        int r = t->root_path ? cgroup_kill(t->root_fd, tracked->path) : tracked_tree_kill(tracked);

        event_active(tracked->check_event, EV_TIMEOUT, 0);
        return r;
}

bool tracked_is_empty(struct tracked *tracked)
{
        return tracked->tracking->root_path ? tracked_cgroup_is_empty(tracked) : tracked_tree_is_empty(tracked);
}

int tracked_remove(struct tracked *tracked)
{
        if (tracked->tracking->root_path)
                return tracked_cgroup_remove(tracked);
        return tracked_is_empty(tracked) ? 0 : -EBUSY;
}

const char *tracked_describe(const struct tracked *tracked)
{
        return tracked->description ? tracked->description : "process tree";
}
