/* The folders of a running instance (ARCHITECTURE.md). */
#pragma once

#include "supervisor/supervisor.h"

/* Makes what is missing below RUNTIME and STATE and enters RUNTIME/sockets, where paths of sockets are
 * short whatever RUNTIME is. Logs what went wrong. */
int folders_open(const struct supervisor_options *options, int *ret_sockets_fd, int *ret_records_fd);

/* Removes what this program made below RUNTIME: the last act of an orderly stop. */
void folders_remove(const struct supervisor_options *options);
