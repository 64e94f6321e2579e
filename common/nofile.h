/* The limit on open file descriptors. The soft one is low for the sake of programs that use select(2) or close every
 * number there may be: we raise our own, and what is not ours gets what we were started with. */
#pragma once

#include "common/macro.h"

#include <sys/resource.h>

/* Raises our soft limit to the hard one, or to a million where that is more. Returns what it was; 0: not known. */
rlim_t nofile_raise(void);

/* Sets the soft limit; 0: leaves it as it is. Async-signal-safe. */
void nofile_restore(rlim_t soft);
