/* The environment of what the supervisor starts: its own, without what the service manager said to the
 * supervisor alone. */
#pragma once

#include "common/macro.h"

/* Our environment, then extra (NULL-terminated "NAME=VALUE", may be NULL; it replaces ours), without
 * NOTIFY_SOCKET, LISTEN_*, WATCHDOG_* and the like. The array is the caller's (free), the strings are
 * borrowed from environ and extra. NULL: out of memory. */
char **environment_make(char *const *extra);

/* The same for a program that is not ours: without what says where our own lines go (common/log.h), too. */
char **environment_make_foreign(char *const *extra);

/* True when entry, "NAME=VALUE", is of a name that entries (may be NULL) have, too. */
bool environment_names(const char *entry, char *const *entries);

/* The value of PATH that an array of "NAME=VALUE" sets; NULL when it does not. Borrowed. */
const char *environment_path(char *const *env);
