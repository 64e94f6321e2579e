/* The connection to the supervisor. It may end at any time: the session goes on, the link connects
 * again and says everything anew that only the worker knows. */
#pragma once

#include "worker/worker.h"

struct link;

/* Connects to "supervisor" in the working directory as soon as the loop runs. */
int link_new(struct worker *worker, struct link **ret);
struct link *link_free(struct link *link);
DEFINE_CLEANUP(struct link, link_free)

/* What happened is remembered and, after a reconnect, said again. */
void link_spawned(struct link *link, pid_t backend_pid);
void link_ready(struct link *link);
void link_exited(struct link *link, const struct ipc_exited *exited);
/* kept: what the session can be revived with (a JSON object), or NULL. */
void link_gone(struct link *link, enum gone_cause cause, const struct failure *failure, const char *kept);

/* What a probe has found (worker/probe.h). */
void link_era(struct link *link, const struct ipc_era *era);

/* One more key leads here, or one no longer does. The live ones are repeated after a reconnect
 * (worker/client.h knows them). */
void link_alias(struct link *link, enum key_kind kind, const char *key, bool is_removed);

/* Counters changed: STATUS follows, coalesced. */
void link_status_changed(struct link *link);

/* False while nothing can be told to the supervisor. */
bool link_is_up(const struct link *link);
