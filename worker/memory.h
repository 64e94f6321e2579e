/* Whether the kernel killed the backend for want of memory, and by whose limit: from the counters of its cgroup and
 * of those above it (memory.events, kernel documentation, cgroup-v2). */
#pragma once

#include "common/macro.h"

struct memory;

/* folder_fd: the folder of the backend's cgroup, SERVER/PRINCIPAL/ID/backend; -1 or anything else (/dev/null): nothing
 * is counted, and nothing is ever found. limit: the backend's own as configured, borrowed; NULL: none. */
int memory_new(int folder_fd_consume, const char *limit, struct memory **ret);
struct memory *memory_free(struct memory *memory);

/* True when something of the backend was killed for that since the worker began; then the words for people are in
 * *ret, borrowed: "out of memory (limit 512M)", "… (limit of its user)", "… (limit of its server)",
 * "… (limit of the machine)"; with the reason's text before it, "killed: out of memory (limit 512M)". */
bool memory_was_short(struct memory *memory, const char **ret);
