/* Starting a session's worker: tracking, workspace, record, listening socket, spec, clone; in this
 * order, so that a supervisor that dies in between leaves nothing that its successor would not find. */
#pragma once

#include "supervisor/config.h"
#include "supervisor/session.h"

/* On success the socket accepts connections and the worker's pid is known. On failure *ret_failure is
 * the caller's JSON failure (it may stay NULL) and what was made is removed when the session is buried. */
int launch_worker(struct session *session, char **ret_failure);

/* Sets session->command: the command line as people would write it, path first. What only the worker
 * knows (its port) stays a name. */
int launch_describe_command(struct session *session, const struct server_config *server, const char *path);

/* Removes what launch_worker left in files, but the record; and that, last, since whatever is left over
 * without it is found as a stray. */
void launch_remove_files(struct session *session);
void launch_remove_record(struct session *session);
