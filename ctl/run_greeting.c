#include "ctl/run.h"

#include <stdio.h>

int run_greeting_print(const char *control, const struct run_listeners *listeners)
{
        for (size_t i = 0; i < listeners->n; i++) {
                _cleanup_free_ char *url = NULL;
                int r = run_listener_url(listeners->fds[i], &url);

                if (r < 0)
                        return r;
                printf("%s%s", i ? ", " : "Ready at ", url);
        }
        printf("; control socket %s. Ctrl-C ends everything.\n", control);
        return fflush(stdout) < 0 ? -errno : 0;
}
