/* The backend of the session as something that is started: the endpoint prepares, the child is spawned
 * into its cgroup, what it writes and the endpoint does not read goes to the log ring. */
#pragma once

#include "worker/worker.h"

struct backend;

int backend_new(struct worker *worker, struct backend **ret);
struct backend *backend_free(struct backend *backend);

/* Prepares and spawns; worker->child is set. cgroup_procs_fd: see child_spawn. A program that cannot
 * be executed is no error here: its exit follows. Once only. */
int backend_start(struct backend *backend, int cgroup_procs_fd_consume);

/* Its program runs, or ran. */
bool backend_is_executed(const struct backend *backend);

/* The child exited before it was ready: starts it once more if its endpoint has taken the cause away.
 * True when a new child runs. */
bool backend_restart(struct backend *backend);

/* Takes what the child has written by now. */
void backend_drain(struct backend *backend);

/* After the child's exit: why its program was not executed, NULL when it was. */
const char *backend_exec_error(struct backend *backend);
