/* What a router is told: the messages themselves. */
#pragma once

#include "supervisor/config.h"
#include "supervisor/peers.h"

/* Configuration, servers, every session that can be reached, their aliases, DUMP_END. */
void router_push_dump(struct peer *peer);

void router_push_server(struct peer *peer, const struct server_config *server);
void router_push_session(struct peer *peer, const struct session *session); /* and its aliases */
void router_push_gone(struct peer *peer, const struct session *session);
void router_push_alias(struct peer *peer, const struct session *session, enum key_kind kind, const char *key,
                       bool is_removed);

/* What a session looks like in messages. */
void router_push_fill(const struct session *session, struct ipc_session *ret);

/* resolve_timeout_usec: longer than a start may wait here. */
usec_t router_resolve_usec(const struct config *config);
