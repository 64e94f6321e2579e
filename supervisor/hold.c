/* envmux-hold(8): keeps the cgroup of envmux-sessions.service alive while no session is, and empties it in the end.
 *
 * systemd removes a cgroup without processes, and forgets what was set on it; a process of the unit in the
 * cgroup itself would keep it from passing controllers on. So one process waits in a leaf of its own. */
#include "common/fd.h"
#include "supervisor/cgroup.h"

#include <config.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#define EMPTY_MSEC 100     /* between two looks: cgroup.events tells of changes, but not reliably of removed folders */
#define EMPTY_LOOKS 70     /* less than the TimeoutStopSec= of the unit */

static int fail(const char *what, int error)
{
        errno = -error;
        fprintf(stderr, "envmux-hold: %s: %m\n", what);
        return EXIT_FAILURE;
}

/* ---- starting --------------------------------------------------------------------------------- */

/* What waits. It has nothing open, and no end but the unit's. */
static _noreturn_ void wait_forever(int cgroup_fd, int ready_fd)
{
        int r = cgroup_write(cgroup_fd, CGROUP_HOLD, "cgroup.procs", "0");

        (void) !write(ready_fd, &r, sizeof(r));
        (void) setsid();
        (void) !chdir("/");
        (void) close_range(0, ~0U, 0);
        for (;;)
                (void) pause();
}

/* Returns when the process waits in its leaf. */
static int hold(int cgroup_fd)
{
        int pipe_fds[2], told = -EPROTO;
        int r = cgroup_make(cgroup_fd, CGROUP_HOLD, false);

        if (r < 0)
                return r;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        _cleanup_fd_ int read_fd = pipe_fds[0];
        _cleanup_fd_ int write_fd = pipe_fds[1];
        pid_t pid = fork();

        if (pid < 0)
                return -errno;
        if (pid == 0)
                wait_forever(cgroup_fd, write_fd);
        write_fd = fd_close(write_fd);
        return read(read_fd, &told, sizeof(told)) == (ssize_t) sizeof(told) ? told : -EPROTO;
}

/* ---- ending ----------------------------------------------------------------------------------- */

struct release {
        int cgroup_fd;
        bool is_left;
};

/* Each folder of ours: killed as one, which no fork outruns, then removed. */
static int release_one(const char *name, void *userdata)
{
        struct release *release = userdata;

        if (streq(name, ".control")) /* where systemd runs us */
                return 0;
        (void) cgroup_kill(release->cgroup_fd, name);
        release->is_left |= cgroup_remove(release->cgroup_fd, name) < 0;
        return 0;
}

static int release(int cgroup_fd)
{
        for (unsigned look = 0; look < EMPTY_LOOKS; look++) {
                struct release release = { .cgroup_fd = cgroup_fd };
                int r = cgroup_each_child(cgroup_fd, ".", release_one, &release);

                if (r < 0 || !release.is_left)
                        return r;
                (void) poll(NULL, 0, look == 0 ? 1 : EMPTY_MSEC);
        }
        return -ETIMEDOUT;
}

/* ---- main ------------------------------------------------------------------------------------- */

/* Our unit's cgroup: systemd runs what is not a unit's main process in a leaf ".control". */
static int open_unit_cgroup(void)
{
        _cleanup_free_ char *path = NULL;
        int r = cgroup_own_path(&path);

        if (r < 0)
                return r;
        char *end = strrchr(path, '/');

        if (end && streq(end, "/.control"))
                *end = '\0';
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int main(int argc, char **argv)
{
        bool is_release = argc >= 2 && argc <= 3 && streq(argv[1], "--release");

        if (argc == 2 && streq(argv[1], "--version"))
                return puts(PACKAGE_STRING) < 0;
        if (argc > 1 && !is_release) {
                fputs("Usage: envmux-hold [--release [FOLDER]]; run by envmux-sessions.service, see envmux-hold(8)\n", stderr);
                return 2;
        }
        _cleanup_fd_ int cgroup_fd = open_unit_cgroup();

        if (cgroup_fd < 0)
                return fail("no cgroup v2 of our own", cgroup_fd);
        int r = is_release ? release(cgroup_fd) : hold(cgroup_fd);

        if (r >= 0 && argc == 3)
                r = fd_remove_tree_at(AT_FDCWD, argv[2]);
        if (r < 0)
                return fail(is_release ? "sessions could not be ended" : "cannot hold the cgroup", r);
        return EXIT_SUCCESS;
}
