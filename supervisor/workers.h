/* What workers say about their sessions. */
#pragma once

#include "supervisor/peers.h"

/* A worker whose token was checked says HELLO for its session; aliases and counters that it knows follow
 * as messages of their own. */
int workers_hello(struct peer *peer, struct session *session, const struct ipc_hello *hello);

/* Its connection ended. */
void workers_hangup(struct peer *peer);

/* The session is over: its connection, if any, is closed and log readers are told. */
void workers_session_ended(struct session *session);

/* Handlers (supervisor/peers.h). */
int workers_on_alias(struct peer *peer, const struct ipc_message *message);
int workers_on_spawned(struct peer *peer, const struct ipc_message *message);
int workers_on_ready(struct peer *peer, const struct ipc_message *message);
int workers_on_status(struct peer *peer, const struct ipc_message *message);
int workers_on_gone(struct peer *peer, const struct ipc_message *message);
int workers_on_backend_exited(struct peer *peer, const struct ipc_message *message);
