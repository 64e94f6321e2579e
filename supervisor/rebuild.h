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

/* True once every record was read. Until then (out of descriptors, an I/O error) it is tried again and again, for
 * half a minute; meanwhile a key or a process that nobody knows may belong to a session that is still to come. */
bool rebuild_is_settled(const struct rebuild *rebuild);

/* Waits no longer for what cannot be read: everything is being stopped. */
void rebuild_give_up(struct rebuild *rebuild);

/* Processes without a record are still being killed, or records still to be read. */
bool rebuild_is_busy(const struct rebuild *rebuild);
