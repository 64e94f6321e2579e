/* The hash by which a changed definition is told from an unchanged one. */
#pragma once

#include "supervisor/config.h"

/* Sets definition_hash: over everything that a backend is started with (command, args, env, cwd,
 * transport, prepare), not over limits and deadlines, which may change under a living session. -ENOMEM. */
int config_hash_definition(struct server_config *server);
