/* Shared by the two ways of tracking: tracking.c chooses between them. */
#pragma once

#include "supervisor/tracking.h"

#include <sys/queue.h>

#define TRACKING_WATCH_BUCKETS 1024

LIST_HEAD(tracked_list, tracked);

struct tracking {
        struct event_base *base;
        char *root_path;              /* NULL: process trees */
        bool is_lent;                 /* the root belongs to another unit: neither made nor removed by us */
        int root_fd, inotify_fd;
        unsigned controllers;         /* that sessions have: bits of enum limit_controller */
        struct event *inotify_event;
        struct tracked_list by_watch[TRACKING_WATCH_BUCKETS];
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
        int worker_pidfd;             /* process-tree mode only; -1: none yet, or not to be had just now */
        struct event *pidfd_event, *check_event;
        bool was_populated, is_told;
        void *userdata;
};

/* Looks whether the session is empty, and tells so once. */
void tracked_check(struct tracked *tracked);

/* ---- tracking_cgroup.c ---- */

/* -EOPNOTSUPP: cgroups are no use here. */
int tracking_cgroup_open(struct tracking *tracking, const char *root, const char *runtime_dir);
void tracking_cgroup_close(struct tracking *tracking);
int tracked_cgroup_make(struct tracked *tracked, const char *server, const char *principal, const char *id,
                        bool is_adopted);
void tracked_cgroup_forget(struct tracked *tracked);
bool tracked_cgroup_is_empty(const struct tracked *tracked);
int tracked_cgroup_remove(struct tracked *tracked);

/* ---- tracking_limits.c ---- */

/* Enables what can be had of the controllers below the root. */
void tracking_controllers_open(struct tracking *tracking, bool is_root_chosen);
/* Likewise in the folders of a session's server and principal, and in its own. */
int tracking_controllers_pass_on(struct tracking *tracking, const char *session_path);

/* ---- tracking_tree.c ---- */

/* Whether /proc tells what is needed; logs why not. */
int tracking_tree_open(void);
void tracked_tree_set_worker(struct tracked *tracked, int pidfd_consume);
void tracked_tree_forget(struct tracked *tracked);
bool tracked_tree_is_empty(struct tracked *tracked);
int tracked_tree_kill(struct tracked *tracked);
