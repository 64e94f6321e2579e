/* Which processes belong to a session, and the certainty that none is left.
 *
 * With a writable cgroup v2 tree every session is the cgroup ROOT/SERVER/PRINCIPAL/ID with two
 * leaves, "worker" and "backend"; it is killed by cgroup.kill and gone when cgroup.events says
 * unpopulated and rmdir succeeded. One inotify instance serves all sessions.
 *
 * Without one (a plain container, an unprivileged user) a session is what descends from its worker:
 * the worker is a subreaper, and when it dies its orphans come to the supervisor or the watch, both
 * subreapers too, where tracking_kill_strays ends them. That is said in tracked_describe. */
#pragma once

#include "common/ipc.h"
#include "supervisor/limits.h"
#include "supervisor/usage.h"

#include <sys/types.h>

struct tracking;
struct tracked;

enum tracking_mode {
        TRACKING_AUTO,         /* cgroups where they can be had, else process trees */
        TRACKING_CGROUP,       /* cgroups or nothing */
        TRACKING_PROCESS_TREE,
};

/* "auto", "cgroup", "process-tree". -EINVAL. */
int tracking_mode_parse(const char *text, enum tracking_mode *ret);

/* cgroup_root: absolute folder of the cgroup v2 tree, made when missing; or one relative to our own cgroup
 * ("../other.service"), which is lent by who made it: it must exist, and stays. NULL to choose: a child of our own
 * cgroup, named after runtime_dir so that a restarted supervisor finds it again. Logs why what mode asks for cannot
 * be had. on_empty runs from the loop when the last process of a session is gone (in
 * process-tree mode: when the worker and its descendants are). */
int tracking_new(struct event_base *base, enum tracking_mode mode, const char *cgroup_root, const char *runtime_dir,
                 void (*on_empty)(struct tracked *tracked, void *userdata), void *userdata, struct tracking **ret);
/* Tracked sessions must have been freed. Leaves the cgroups as they are. */
struct tracking *tracking_free(struct tracking *tracking);
DEFINE_CLEANUP(struct tracking, tracking_free)

/* Removes the (empty) cgroup root with its empty subfolders: the last act of an orderly stop. */
int tracking_remove_root(struct tracking *tracking);

bool tracking_has_cgroups(const struct tracking *tracking);

/* A directory fd of the routers' cgroup, which is made where it is not there; the caller's. -1 without cgroups. */
int tracking_open_routers(const struct tracking *tracking);

/* Whether the kernel enforces a limit of this kind: its controller is there. */
bool tracking_enforces(const struct tracking *tracking, enum limit_kind kind);

/* Puts limits of all sessions of a server (principal NULL), or of a principal's, in force, as far as they are
 * enforced; with is_reset also that there is none where none is set. -ENOENT: there is no such session. Logs what
 * could not be written. */
int tracking_limit_group(struct tracking *tracking, const char *server, const char *principal,
                         const struct limits *limits, bool is_reset);

/* Calls found for each server (principal NULL) and each principal of one that has a folder; nothing without
 * controllers. Stops and forwards what found returns when negative. */
int tracking_each_group(struct tracking *tracking,
                        int (*found)(const char *server, const char *principal, void *userdata), void *userdata);

/* Every session cgroup that exists, for rebuilding: found(server, principal, id). The names are
 * valid during the call. Stops and forwards what found returns when negative. */
int tracking_list(struct tracking *tracking,
                  int (*found)(const char *server, const char *principal, const char *id, void *userdata), void *userdata);

/* Makes the session's cgroups, or takes over those that exist (is_adopted). userdata is handed to
 * nobody but returned by tracked_userdata. -EEXIST: they exist and is_adopted is false. */
int tracked_new(struct tracking *tracking, const char *server, const char *principal, const char *id, bool is_adopted,
                void *userdata, struct tracked **ret);
/* Forgets; kills and removes nothing. */
struct tracked *tracked_free(struct tracked *tracked);
DEFINE_CLEANUP(struct tracked, tracked_free)
void *tracked_userdata(const struct tracked *tracked);

/* For spawn: a directory fd of the worker's leaf (borrowed), -1 without cgroups. */
int tracked_worker_cgroup_fd(const struct tracked *tracked);
/* For the worker's fd 5: an opened cgroup.procs of the backend's leaf, -1 without cgroups. The caller's. */
int tracked_open_backend_procs(const struct tracked *tracked);

/* Names the worker process once it runs; again when it names itself. pidfd is consumed, -1 where none could be had. */
void tracked_set_worker(struct tracked *tracked, pid_t pid, int pidfd_consume);
pid_t tracked_worker_pid(const struct tracked *tracked);

/* For the worker's fd 6: the folder of the backend's leaf, where the kernel counts what it kills for want of memory;
 * -1 where it does not. The caller's. */
int tracked_open_backend_folder(const struct tracked *tracked);

/* Puts the limits of a session in force that has no process yet, as far as they are enforced. Logs what could not
 * be written. */
int tracked_limit(struct tracked *tracked, const struct limits *limits);

/* What its backend uses. -EOPNOTSUPP: without cgroups nobody counts. */
int tracked_read_usage(const struct tracked *tracked, struct usage *ret);

/* SIGKILL to every process of the session, now and to what they fork meanwhile. on_empty follows. */
int tracked_kill(struct tracked *tracked);

/* True when no process is left (checked now, not from memory). */
bool tracked_is_empty(struct tracked *tracked);

/* Removes the cgroups of an empty session. -EBUSY: a process is still there. */
int tracked_remove(struct tracked *tracked);

/* "/sys/fs/cgroup/…/lake/-/0123…" (the cgroup's folder) or "process tree of worker 4711"; borrowed. */
const char *tracked_describe(const struct tracked *tracked);

/* SIGKILL to each child of this process, and of the watch that started it when watch_pid > 0 (which must be our
 * parent), for which is_known says no. Returns how many were hit. Children that the supervisor
 * reaps elsewhere are is_known's business. */
unsigned tracking_kill_strays(pid_t watch_pid, bool (*is_known)(pid_t pid, void *userdata), void *userdata);
