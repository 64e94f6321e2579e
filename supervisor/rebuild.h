/* The start of a supervisor: what an earlier one left is the truth. Sessions come back from their
 * records in state ADOPTING, their keys taken; what has no record (cgroups, sockets, workspaces) is
 * removed. */
#pragma once

#include "common/macro.h"

#include <sys/types.h>

struct rebuild;
struct session;
struct supervisor;

/* Observers of sessions must be there already. */
int rebuild_new(struct supervisor *supervisor, struct rebuild **ret);
struct rebuild *rebuild_free(struct rebuild *rebuild);
DEFINE_CLEANUP(struct rebuild, rebuild_free)

/* This is the process of an adopted session's worker: found, or told by itself. */
void rebuild_name_worker(struct session *session, pid_t pid);

/* Processes without a record are still being killed. */
bool rebuild_is_busy(const struct rebuild *rebuild);
