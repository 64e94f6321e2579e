/* Starting a sibling process: clone3 with a pidfd, into its cgroup, with exactly the fds it gets. */
#pragma once

#include "common/macro.h"

#include <sys/resource.h>
#include <sys/types.h>

struct account;

struct spawn_request {
        const char *path;          /* absolute */
        const char *const *argv;   /* NULL-terminated, argv[0] included */
        const char *const *envp;   /* NULL-terminated; NULL: ours */
        const char *cwd;           /* NULL: ours */
        const int *fds;            /* become 3, 4, …; -1 becomes /dev/null */
        size_t n_fds;
        int cgroup_fd;             /* directory of a cgroup v2, or -1 */
        const struct account *account; /* NULL: ours. Else it becomes that user and can gain no rights */
        rlim_t nofile;             /* its soft limit on descriptors; 0: ours */
        int output_fd;             /* becomes 1 and 2; -1: ours are inherited. 0 is /dev/null */
};

/* Returns when exec has succeeded or failed (its errno is ours then; nothing is left of the child).
 * Signals are at their defaults and unblocked in the child, no other fd stays open, it leads a
 * session of its own. ret_pidfd is close-on-exec and the caller's. */
int spawn_process(const struct spawn_request *request, pid_t *ret_pid, int *ret_pidfd);
