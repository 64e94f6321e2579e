/* Who descends from whom, read from /proc; used where no cgroup says it.
 *
 * Children that the caller has not reaped keep their pids. Every other pid may become another process at any
 * moment: the functions that kill hold a pidfd while they look again at what they are about to hit. */
#pragma once

#include "common/macro.h"

#include <stdint.h>
#include <sys/types.h>

#define PROCESS_TREE_MAX 65536 /* processes looked at in one walk */

/* Calls each for every process of /proc until it returns a negative errno, which is forwarded. */
int process_for_each(int (*each)(pid_t pid, void *userdata), void *userdata);

/* Direct children of pid, zombies included. *ret is the caller's. -ESRCH: no such process. */
int process_children(pid_t pid, pid_t **ret, size_t *ret_n);

/* The same from the parents of all processes: for kernels without CONFIG_PROC_CHILDREN, where
 * process_children comes here by itself. Slower, and empty where there is no such process. */
int process_children_scan(pid_t pid, pid_t **ret, size_t *ret_n);

/* All descendants of pid, parents before children, pid itself not among them. */
int process_descendants(pid_t pid, pid_t **ret, size_t *ret_n);

/* The parent of pid now, or a negative errno; -ESRCH for a zombie, which is over. */
pid_t process_parent(pid_t pid);

/* The real user of pid, which stat(2) of its folder does not say of one that is not dumpable (proc(5)). */
int process_uid(pid_t pid, uid_t *ret);

/* SIGKILL to pid if it still is a child of parent and not over; true when it was sent. */
bool process_kill_child(pid_t pid, pid_t parent);

/* SIGKILL to what descends from pid now. Returns how many were hit. */
unsigned process_kill_descendants(pid_t pid);

/* SIGKILL to every process of this user that was started with this entry ("NAME=value") in its environment.
 * Returns how many were hit. */
unsigned process_kill_marked(const char *entry, uid_t uid);
