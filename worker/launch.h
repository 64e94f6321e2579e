/* What is executed for a session: argument vector, environment and folder, made from the spec's
 * templates and the session's values. */
#pragma once

#include "worker/spec.h"

#include <sys/resource.h>

#define LAUNCH_CONFIG_ENV_BYTES_MAX (32u * 1024) /* larger configs travel by file only */

struct launch {
        char **argv; /* NULL-terminated */
        char **envp; /* NULL-terminated */
        char *cwd;
        rlim_t nofile; /* soft limit on descriptors; 0: ours */
};

/* environ_base is what the environment starts from, without what belongs to the service manager
 * (NOTIFY_SOCKET, LISTEN_*, WATCHDOG_*). values[i] NULL: the session has no such value. */
int launch_new(const struct spec *spec, const char *const values[static TEMPLATE__MAX], char *const *environ_base,
               struct launch **ret);
struct launch *launch_free(struct launch *launch);
DEFINE_CLEANUP(struct launch, launch_free)
