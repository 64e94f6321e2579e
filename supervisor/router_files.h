/* What is remembered of each router in RUNTIME/routers/SLOT: "TOKEN PID". */
#pragma once

#include "common/ipc.h"

#include <sys/types.h>

/* pid 0: not known yet. Atomic, mode 0600. */
int router_files_write(const char *runtime, unsigned slot, const char *token, pid_t pid);

/* The router of the slot when it still runs: returns a pidfd, the caller's, and fills in token and pid.
 * Its command line must name the token, since a pid alone may be anybody's by now. -ESRCH: it does not run. */
int router_files_open(const char *runtime, unsigned slot, char ret_token[static IPC_TOKEN_SIZE], pid_t *ret_pid);

void router_files_remove(const char *runtime, unsigned slot);

/* Ends the routers of slots that are not used any more, and removes their files. */
void router_files_clean(const char *runtime, unsigned n_slots);
