/* The limits that the configuration sets, put in force at three levels: a session's backend, all sessions of a
 * principal, all of a server; and told where this machine cannot enforce them. */
#pragma once

#include "supervisor/session.h"

struct json_writer;
struct server_config;

/* Before a session's first process: those of its server, its principal and its own. Its record says the latter from
 * then on. Limits whose controller is missing are left out. */
int session_limits_apply(struct session *session, const struct server_config *server);

/* After the configuration was read (again): servers and principals that have sessions get theirs; what cannot be
 * enforced is logged. */
void session_limits_reconfigure(struct supervisor *supervisor);

/* Appends the members limits, principal_limits, server_limits and unenforced of a session's object, each with a
 * comma before it, as far as there is something to say. */
void session_limits_write(const struct session *session, struct json_writer *writer);
