/* Ending what is left below this process, which must be a child subreaper. */
#pragma once

#include "common/time_util.h"

/* SIGKILL to every child, and to the orphans that come to us as their parents die, until none is
 * left or deadline_usec has passed. Returns how many were killed, or -ETIME with some still there. */
int descendants_kill(usec_t deadline_usec);
