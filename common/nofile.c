#include "common/nofile.h"

/* The kernel's own bound unless somebody raised it. A table of descriptors is as long as the highest one in use. */
#define NOFILE_MAX ((rlim_t) 1024 * 1024)

rlim_t nofile_raise(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 0;

        rlim_t former = limit.rlim_cur;

        nofile_restore(MAX_OF(former, MIN_OF(limit.rlim_max, NOFILE_MAX)));
        return former;
}

void nofile_restore(rlim_t soft)
{
        struct rlimit limit;

        if (soft == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = MIN_OF(soft, limit.rlim_max);
        (void) setrlimit(RLIMIT_NOFILE, &limit);
}
