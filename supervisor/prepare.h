/* The prepare command of a definition: run once, before its first start, as a tracked group of processes
 * of its own; what it prints is logged. A marker in RUNTIME/definitions says that it succeeded. */
#pragma once

#include "common/time_util.h"
#include "supervisor/config.h"

struct prepare;
struct supervisor;

#define PREPARE_USEC (10 * USEC_PER_MINUTE)

/* Told from the loop when nothing of the command is left: failure_json NULL when it succeeded. The
 * prepare may be freed in the callback. */
typedef void (*prepare_done_fn)(struct prepare *prepare, const char *failure_json, size_t size, void *userdata);

/* Starts server->prepare. Negative errno when it cannot be started. */
int prepare_new(struct supervisor *supervisor, const struct server_config *server, prepare_done_fn on_done,
                void *userdata, struct prepare **ret);
struct prepare *prepare_free(struct prepare *prepare);
DEFINE_CLEANUP(struct prepare, prepare_free)

/* Kills it; on_done follows, with a failure. */
void prepare_kill(struct prepare *prepare);

/* True when the definition was prepared in this runtime before. */
bool prepare_is_marked(const struct supervisor *supervisor, const char *definition_hash);
