/* Who descends from whom, read from /proc; used where no cgroup says it. */
#pragma once

#include "common/macro.h"

#include <sys/types.h>

#define PROCESS_TREE_MAX 65536 /* processes looked at in one walk */

/* Direct children of pid. *ret is the caller's. -ESRCH: no such process. */
int process_children(pid_t pid, pid_t **ret, size_t *ret_n);

/* All descendants of pid, parents before children, pid itself not among them. */
int process_descendants(pid_t pid, pid_t **ret, size_t *ret_n);

/* The parent of pid now, or a negative errno; -ESRCH for a zombie, which is over. */
pid_t process_parent(pid_t pid);

/* SIGKILL to pid if it still is a child of parent; true when it was sent. */
bool process_kill_child(pid_t pid, pid_t parent);

/* SIGKILL to pid and to every descendant it has now. The caller knows that pid is still the process
 * it means (a pidfd, or it is our child). */
void process_kill_tree(pid_t pid);
