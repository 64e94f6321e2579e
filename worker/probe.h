/* The endpoint of a probe (spec.kind "probe"): no client ever comes; the worker itself asks its stdio backend which
 * era of MCP it speaks, tells the supervisor (IPC_ERA) and ends.
 *
 *   server/discover answered with a modern revision     ERA_MODERN
 *   answered with an error, or without one              ERA_LEGACY
 *   only `initialize` answered, which is sent as well
 *   after a while: what is silent may still be starting ERA_LEGACY
 *   the backend exits, or says nothing until the end    ERA_LEGACY, presumed: one that is out of order does so too
 *
 * READY is the first answer, as for any session: an exit without one does not show that the definition works.
 * A backend whose program could not be executed shows nothing: its start has failed. */
#pragma once

#include "common/json_scan.h"

enum probe_answer {
        PROBE_NOTHING,     /* no message, or none that answers a question of the probe */
        PROBE_MODERN,      /* server/discover: a modern revision is spoken */
        PROBE_REFUSED,     /* server/discover: none is */
        PROBE_INITIALIZED, /* initialize was answered, by a result or an error */
};

/* What one line of the backend's standard output says to the probe. */
enum probe_answer probe_read(const char *line, size_t size);
