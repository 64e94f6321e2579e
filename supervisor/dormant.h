/* Dormant sessions: a server with on_idle "revive" lets a session whose worker ended it for idleness keep
 * its key, its aliases, its settings and what its clients are to a backend. Nothing of it runs and no
 * router knows it; the next request that asks for one of its keys starts the next generation, whose worker
 * replays the handshake (worker/revive.h). A session that ends in any other way never becomes dormant, and
 * a stop, a reset or a DELETE of a dormant one is its end.
 *
 * What is kept is in the record, so that a killed or replaced supervisor finds it again. The orderly stop
 * ends dormant sessions like all others. At most max_ended sessions are dormant: the one that has been so
 * for the longest time makes room; and each for its lifetime at most. */
#pragma once

#include "supervisor/session.h"

struct server_config;

/* Its worker ended it for idleness and told what it can be revived with, a JSON object. Once its processes
 * are gone it is dormant. Without memory or room on disk it just ends. */
void dormant_keep(struct session *session, const char *revive, size_t size);

/* However it ends now, or has ended, it is not revived. */
void dormant_forget(struct session *session);

/* A worker of it is at work: from now on only a further idle end makes it dormant. */
void dormant_woke(struct session *session);

/* Nothing of it is left but what is kept: for lifecycle.c, on the move to SESSION_DORMANT. */
void dormant_begin(struct session *session);

/* A fresh supervisor has put the session into the table: what its record says of aliases and end is taken
 * in. Nothing where it was not ended for idleness. */
void dormant_recall(struct session *session);

/* From its record, by a fresh supervisor. -EEXIST: its key is taken. */
int dormant_restore(struct supervisor *supervisor, struct record *record_consume);

/* Starts the next generation in place of a dormant session, which is a tombstone then. with_clients: its
 * clients and their handshake come back. *ret as of lifecycle_create, and its errors: on -EBUSY and
 * -ESHUTDOWN the session stays dormant. */
int dormant_wake(struct session *session, const struct server_config *server, bool with_clients,
                 bool awaits_request, struct session **ret);

/* A client of a dormant session has left: its Mcp-Session-Id does not come back. The last client of a
 * session that none but its clients know ends it. */
void dormant_drop_client(struct session *session, const char *transport_id);
