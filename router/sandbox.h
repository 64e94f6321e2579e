/* What a router gives up before it accepts a connection: it parses what strangers send. */
#pragma once

#include "common/macro.h"

#include <sys/types.h>

struct sandbox_user {
        bool is_set;
        uid_t uid;
        gid_t gid;
};

/* With a user: the working directory becomes the root of the file system, everything beyond is out of reach, and the
 * process becomes that user, without groups or capabilities. Any of it failing is an error.
 * In any case: no new rights by exec, and only the system calls that serving takes; others fail with EPERM, opening
 * a file and starting a program among them. Where the kernel has no filters, or under a sanitizer, that is left out
 * with a warning. */
int sandbox_enter(const struct sandbox_user *user);
