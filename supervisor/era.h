/* Which era of MCP the backends of a definition speak (common/ipc.h, enum backend_era). One process
 * speaks one era, and some old servers exit on what they do not know: so a disposable backend is asked, once
 * per definition, before the first stateless request is let near a session.
 *
 * The probe is an ordinary session of kind KEY_PROBE: admitted, prepared, tracked, limited, adopted and buried
 * like any other, and shown to people, but never told to routers. Its worker (worker/probe.h) says what it
 * found with IPC_ERA. What is known is kept in RUNTIME/definitions/HASH.era, so that a later supervisor
 * knows it too.
 *
 * A backend that exits or stays silent shows nothing for certain: one that is out of order does so too. That
 * is presumed to be ERA_LEGACY for a moment, so that clients fall back to `initialize` and hear from it what is
 * wrong; it is known only when the definition has answered another session before. */
#pragma once

#include "supervisor/config.h"
#include "supervisor/peers.h"

#define ERA_PROBE_KEY "probe"
#define ERA_PROBE_USEC_MAX (45 * USEC_PER_SEC) /* the longest a probe waits for a backend that was started */

struct eras;

/* Observes the supervisor's sessions from now on. */
int eras_new(struct supervisor *supervisor, struct eras **ret);
struct eras *eras_free(struct eras *eras);

/* What is configured or known of server's definition; ERA_UNKNOWN for what is never asked (HTTP). */
enum backend_era era_of(struct eras *eras, const struct server_config *server);

/* The same of the definition that a session was started from. */
enum backend_era era_of_session(struct eras *eras, const struct session *session);

/* What a stateless request is told now: era_of, or the presumption. */
enum backend_era era_presumed(struct eras *eras, const struct server_config *server);

/* *ret is the probe of server, started or joined. It may be over already (its state says so), or be of
 * an older definition. Errors of lifecycle_create. */
int era_probe(struct eras *eras, const struct server_config *server, struct session **ret);

/* Forgets what probes have found: the next stateless request asks again. */
void eras_forget(struct eras *eras);

/* "legacy", "modern"; NULL for ERA_UNKNOWN. */
const char *era_to_string(enum backend_era era);

/* Handler (supervisor/peers.h). */
int eras_on_era(struct peer *peer, const struct ipc_message *message);
