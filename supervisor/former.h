/* The configuration in force, kept in RUNTIME/configuration: a supervisor that was killed comes back to its sessions
 * even while what is on disk cannot be read. */
#pragma once

#include "supervisor/config.h"

struct supervisor_options;

/* Replaces what is kept. What cannot be kept is logged: nothing else depends on it. */
void former_keep(const struct supervisor_options *options, const struct config *config);

/* The configuration that an earlier supervisor of this file kept, if it left sessions or routers; else -ENOENT. What is
 * wrong with it by now is reported. *ret is the caller's. */
int former_load(const char *runtime, const char *path, struct config **ret, struct config_report *report);

void former_remove(const struct supervisor_options *options);
