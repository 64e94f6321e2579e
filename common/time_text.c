#include "common/time_text.h"

#include <stdio.h>

void time_text_utc(usec_t realtime_usec, char ret[static TIME_TEXT_SIZE])
{
        time_t seconds = (time_t) (realtime_usec / USEC_PER_SEC);
        struct tm tm;
        size_t used;

        gmtime_r(&seconds, &tm);
        used = strftime(ret, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(ret + used, TIME_TEXT_SIZE - used, ".%03uZ", (unsigned) (realtime_usec % USEC_PER_SEC / USEC_PER_MSEC));
}
