/* Looks for what belongs to nobody: our children (and, in the foreground, the watch's) that no module
 * registered, orphans of dead workers. */
#pragma once

#include "common/macro.h"
#include "common/time_util.h"

#include <sys/types.h>

struct supervisor;
struct janitor;

/* Strays are looked for from now on, every now and then. */
int janitor_new(struct supervisor *supervisor, struct janitor **ret);
struct janitor *janitor_free(struct janitor *janitor);
DEFINE_CLEANUP(struct janitor, janitor_free)

/* Kills every stray there is now; returns how many were hit. What descends from them is a stray when they
 * are dead: nothing is left when a later call returns 0. */
unsigned janitor_kill_strays(struct janitor *janitor);

/* True when a look later than since (CLOCK_MONOTONIC) found no stray; looks again where that is due.
 * However many ask, looks are some milliseconds apart. */
bool janitor_is_clean(struct janitor *janitor, usec_t since);

/* Strays are to be expected: they are killed from the loop until none is left. */
void janitor_wake(struct janitor *janitor);

/* True when the orphans of parent's children come where they are found: parent is this process or the watch. */
bool janitor_inherits(const struct janitor *janitor, pid_t parent);
