/* The JSON object that tells a worker what it is (ARCHITECTURE.md, "The worker's spec"). */
#pragma once

#include "supervisor/config.h"
#include "supervisor/session.h"

/* The words of the spec for a kind of key: "named", "transport", "client"; NULL for anything else. */
const char *key_kind_to_string(enum key_kind kind);

/* *ret is the caller's. command is the absolute path of server->command. */
int worker_spec_build(const struct session *session, const struct server_config *server, const char *command,
                      char **ret, size_t *ret_size);
