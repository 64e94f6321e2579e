/* Times as people and programs read them. */
#pragma once

#include "common/time_util.h"

#define TIME_TEXT_SIZE 32

/* RFC 3339 in UTC with milliseconds, "2026-11-22T17:53:07.042Z", of a CLOCK_REALTIME time. */
void time_text_utc(usec_t realtime_usec, char ret[static TIME_TEXT_SIZE]);
