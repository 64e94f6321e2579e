#include "ctl/descendants.h"

#include "common/process_tree.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* Children that were not reaped yet, so none of these pids can be another process by now. */
static void kill_children(void)
{
        _cleanup_free_ pid_t *children = NULL;
        size_t n = 0;

        (void) process_children(getpid(), &children, &n);
        for (size_t i = 0; i < n; i++)
                (void) kill(children[i], SIGKILL);
}

int descendants_kill(usec_t deadline_usec)
{
        int n_killed = 0;

        for (;;) {
                int status;
                pid_t pid = waitpid(-1, &status, WNOHANG);

                if (pid > 0) {
                        n_killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
                        continue;
                }
                if (pid < 0 && errno == ECHILD)
                        return n_killed;
                if (usec_until(deadline_usec) == 0)
                        return -ETIME;
                kill_children();
                (void) poll(NULL, 0, 1); /* a killed process takes a moment to become waitable */
        }
}
