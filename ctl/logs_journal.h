/* What the journal has of a session's backend: for sessions that have ended, with their worker and all it kept. */
#pragma once

#include <stdbool.h>

/* Prints the newest lines_max lines (0: all), as JSON objects or as they are. Returns how many; -errno when the
 * journal cannot be read. Entries that we may not read are as if they were not there. */
int logs_from_journal(const char *id, unsigned long lines_max, bool json);
