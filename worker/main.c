/* envmux-worker SERVER/SESSION-ID: fd 3 the session's listening socket, fd 4 its spec, fd 5 the
 * cgroup.procs file of the backend's cgroup or /dev/null, fd 6 the folder of that cgroup or /dev/null; the working
 * directory holds "supervisor". */

#include "common/fd.h"
#include "common/log.h"
#include "common/nofile.h"
#include "worker/worker.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

enum { FD_LISTEN = 3, FD_SPEC, FD_CGROUP, FD_CGROUP_FOLDER };

/* The end of a session is the supervisor's decision: a terminal's Ctrl-C or hangup is not ours. */
static void signals_ignore(void)
{
        static const int ignored[] = { SIGPIPE, SIGINT, SIGHUP };

        for (size_t i = 0; i < ELEMENTSOF(ignored); i++)
                signal(ignored[i], SIG_IGN);
}

static int spec_take(struct spec **ret)
{
        _cleanup_fd_ int fd = FD_SPEC;
        _cleanup_free_ char *why = NULL;
        int r = spec_read(fd, ret, &why);

        return r < 0 ? log_errno(r, "spec on fd %d: %s", FD_SPEC, why ? why : "unreadable") : 0;
}

/* A supervisor of an earlier version, which has yet to be replaced, passes no fd 6. */
static int folder_take(void)
{
        return fd_cloexec(FD_CGROUP_FOLDER, true) < 0 ? -1 : FD_CGROUP_FOLDER;
}

int main(int argc, char **argv)
{
        _cleanup_(worker_freep) struct worker *worker = NULL;
        struct spec *spec;

        log_init("envmux-worker");
        if (argc != 2) {
                fprintf(stderr, "usage: envmux-worker SERVER/SESSION-ID (started by envmux-supervisor)\n");
                return 2;
        }
        /* Its backend is the same user, and must not read the token or take its descriptors. */
        (void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        signals_ignore();
        for (int fd = FD_LISTEN; fd <= FD_CGROUP; fd++) {
                int r = fd_cloexec(fd, true);

                if (r < 0) {
                        log_errno(r, "fd %d", fd);
                        return EXIT_FAILURE;
                }
        }
        const struct worker_fds fds = {
                .listen = FD_LISTEN,
                .cgroup_procs = FD_CGROUP,
                .cgroup_folder = folder_take(),
                .nofile = nofile_raise(), /* of a session that many share: one for each of their streams */
        };

        if (spec_take(&spec) < 0)
                return EXIT_FAILURE;
        int r = worker_new(spec, &fds, &worker);

        if (r < 0) {
                log_errno(r, "session %s cannot begin", argv[1]);
                return EXIT_FAILURE;
        }
        return worker_run(worker);
}
