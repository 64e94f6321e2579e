#include "ctl/watch_child.h"

#include "ctl/libexec.h"
#include "common/fd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define LISTEN_FDS_START 3
#define CHILD_FDS_MAX (RUN_LISTENERS_MAX + FD_STORE_MAX)

/* Says over the pipe why the child is none; close-on-exec ends it without a word when all is well. */
static _noreturn_ void child_fail(int pipe_fd)
{
        int error = -errno;

        (void) !write(pipe_fd, &error, sizeof(error));
        _exit(EXIT_FAILURE);
}

/* A copy beyond the numbers that the supervisor's sockets get. */
static int move_fd(int fd, int command)
{
        int copy = fcntl(fd, command, LISTEN_FDS_START + CHILD_FDS_MAX + 1);

        /* The kernel's word for a number beyond the limit. */
        if (copy < 0 && errno == EINVAL)
                errno = EMFILE;
        return copy;
}

/* fds become 3, 4, …; all move out of the way first, since source and target numbers overlap. */
static void place_fds(int *fds, size_t n, int pipe_fd)
{
        for (size_t i = 0; i < n; i++) {
                fds[i] = move_fd(fds[i], F_DUPFD_CLOEXEC);
                if (fds[i] < 0)
                        child_fail(pipe_fd);
        }
        for (size_t i = 0; i < n; i++)
                if (dup2(fds[i], LISTEN_FDS_START + (int) i) < 0)
                        child_fail(pipe_fd);
}

static size_t collect_fds(const struct watch_child *child, int fds[static CHILD_FDS_MAX], char *names, size_t names_size)
{
        size_t n = 0, used = 0;

        for (size_t i = 0; i < child->listeners->n; i++, n++) {
                fds[n] = child->listeners->fds[i];
                used += (size_t) snprintf(names + used, names_size - used, "%shttp", n ? ":" : "");
        }
        for (size_t i = 0; i < child->store->n; i++, n++) {
                fds[n] = child->store->entries[i].fd;
                used += (size_t) snprintf(names + used, names_size - used, "%s%s", n ? ":" : "",
                                          child->store->entries[i].name);
        }
        return n;
}

static void set_number(const char *name, uint64_t value)
{
        char text[24];

        (void) snprintf(text, sizeof(text), "%llu", (unsigned long long) value);
        (void) setenv(name, text, 1);
}

static _noreturn_ void child_exec(const struct watch_child *child, const char *path, pid_t parent, int *fds,
                                  size_t n_fds, const char *names, int pipe_fd)
{
        const struct run_folders *folders = child->folders;
        sigset_t none;

        /* The end of the watch ends everything, even when it could not say so. */
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
                child_fail(pipe_fd);
        if (getppid() != parent)
                _exit(EXIT_FAILURE);
        /* Away from the terminal's process group: Ctrl-C is the watch's to act on. */
        (void) setsid();
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) signal(SIGPIPE, SIG_DFL);

        int moved_fd = move_fd(pipe_fd, F_DUPFD_CLOEXEC);

        if (moved_fd < 0)
                child_fail(pipe_fd);
        pipe_fd = moved_fd;
        place_fds(fds, n_fds, pipe_fd);
        /* Inherited on purpose: folders stay locked until the supervisor, too, is gone. */
        if (move_fd(folders->lock_fd, F_DUPFD) < 0)
                child_fail(pipe_fd);
        set_number("LISTEN_PID", (uint64_t) getpid());
        set_number("LISTEN_FDS", n_fds);
        (void) setenv("LISTEN_FDNAMES", names, 1);
        (void) setenv("NOTIFY_SOCKET", child->notify_path, 1);
        set_number("WATCHDOG_PID", (uint64_t) getpid());
        set_number("WATCHDOG_USEC", child->watchdog_usec);
        execl(path, "envmux-supervisor", "--config", child->config, "--runtime", folders->runtime, "--state",
              folders->state, "--control", folders->control, "--tracking", child->tracking,
              child->drop_ins ? "--drop-ins" : NULL, child->drop_ins, (char *) NULL);
        child_fail(pipe_fd);
}

pid_t watch_child_start(const struct watch_child *child)
{
        char names[CHILD_FDS_MAX * (FD_NAME_SIZE + 1)] = "", path[PATH_MAX];
        int fds[CHILD_FDS_MAX], pipe_fds[2], error = 0;
        size_t n = collect_fds(child, fds, names, sizeof(names));
        pid_t parent = getpid(), pid;
        ssize_t size;

        error = libexec_find("envmux-supervisor", path);
        if (error < 0)
                return error;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid == 0)
                child_exec(child, path, parent, fds, n, names, pipe_fds[1]);
        error = pid < 0 ? -errno : 0;
        fd_close(pipe_fds[1]);
        do
                size = read(pipe_fds[0], &error, sizeof(error));
        while (size < 0 && errno == EINTR);
        fd_close(pipe_fds[0]);
        if (error < 0 && pid > 0)
                (void) waitpid(pid, NULL, 0);
        return error < 0 ? error : pid;
}

int watch_child_check(const char *config, const char *drop_ins)
{
        char path[PATH_MAX];
        int status, r = libexec_find("envmux-supervisor", path);
        pid_t pid;

        if (r < 0) {
                fprintf(stderr, "envmux run: cannot find envmux-supervisor (last tried %s); is envmux installed completely?\n", path);
                return r;
        }
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                execl(path, "envmux-supervisor", "--check", "--config", config, drop_ins ? "--drop-ins" : NULL, drop_ins,
                      (char *) NULL);
                fprintf(stderr, "envmux run: cannot start %s: %s\n", path, strerror(errno));
                _exit(EXIT_FAILURE);
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
