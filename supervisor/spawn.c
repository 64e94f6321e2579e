#include "supervisor/spawn.h"

#include "common/fd.h"
#include "common/nofile.h"
#include "supervisor/account.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* First fd that the child uses for its own plumbing: above every fd it passes on. */
#define FDS_MAX 64

/* Runs in the child: only async-signal-safe calls from here to exec. */
static _noreturn_ void child_fail(int error_fd)
{
        int error = errno;

        (void) !write(error_fd, &error, sizeof(error));
        _exit(127);
}

static void child_reset_signals(void)
{
        struct sigaction action = { .sa_handler = SIG_DFL };
        sigset_t none;

        for (int i = 1; i < _NSIG; i++)
                (void) sigaction(i, &action, NULL); /* SIGKILL and SIGSTOP refuse: fine */
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Moves every fd that is passed on out of the target range first, so that no dup2 overwrites one
 * that is still needed. */
static void child_place_fds(const struct spawn_request *request, int error_fd)
{
        int high[FDS_MAX];
        int floor = 3 + (int) request->n_fds;
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null_fd < 0)
                child_fail(error_fd);
        for (size_t i = 0; i < request->n_fds; i++) {
                high[i] = fcntl(request->fds[i] >= 0 ? request->fds[i] : null_fd, F_DUPFD_CLOEXEC, floor);
                if (high[i] < 0)
                        child_fail(error_fd);
        }
        if (dup2(null_fd, STDIN_FILENO) < 0)
                child_fail(error_fd);
        if (request->output_fd >= 0 &&
            (dup2(request->output_fd, STDOUT_FILENO) < 0 || dup2(request->output_fd, STDERR_FILENO) < 0))
                child_fail(error_fd);
        for (size_t i = 0; i < request->n_fds; i++)
                if (dup2(high[i], 3 + (int) i) < 0)
                        child_fail(error_fd);
}

static _noreturn_ void child_exec(const struct spawn_request *request, int procs_fd, int error_fd)
{
        child_reset_signals();
        (void) setsid();
        if (procs_fd >= 0 && write(procs_fd, "0", 1) != 1)
                child_fail(error_fd);
        child_place_fds(request, error_fd);
        if (request->account && account_become(request->account) < 0)
                child_fail(error_fd);
        if (request->cwd && chdir(request->cwd) < 0)
                child_fail(error_fd);
        /* Whatever is above is closed by exec: the error pipe, which is close-on-exec, tells us. */
        (void) close_range(3 + (unsigned) request->n_fds, ~0U, CLOSE_RANGE_CLOEXEC);
        nofile_restore(request->nofile);
        execve(request->path, (char *const *) request->argv, request->envp ? (char *const *) request->envp : environ);
        child_fail(error_fd);
}

static pid_t clone_child(int cgroup_fd, int *ret_pidfd)
{
        int pidfd = -1;
        struct clone_args args = {
                .flags = CLONE_PIDFD,
                .pidfd = (__u64) (uintptr_t) &pidfd,
                .exit_signal = SIGCHLD,
        };

        if (cgroup_fd >= 0) {
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (__u64) cgroup_fd;
        }
        pid_t pid = (pid_t) syscall(SYS_clone3, &args, sizeof(args));

        if (pid > 0)
                *ret_pidfd = pidfd;
        return pid;
}

/* The child's verdict: its errno, or EOF when exec closed the pipe. */
static int read_exec_error(int fd)
{
        int error = 0;
        ssize_t n;

        do
                n = read(fd, &error, sizeof(error));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return n == (ssize_t) sizeof(error) ? -error : 0;
}

int spawn_process(const struct spawn_request *request, pid_t *ret_pid, int *ret_pidfd)
{
        _cleanup_fd_ int read_fd = -1, write_fd = -1, procs_fd = -1, pidfd = -1;
        int pipe_fds[2];

        if (request->n_fds > FDS_MAX)
                return -E2BIG;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        read_fd = pipe_fds[0];
        /* Above the range that child_place_fds fills. */
        write_fd = fcntl(pipe_fds[1], F_DUPFD_CLOEXEC, 3 + 2 * FDS_MAX);
        if (write_fd < 0) {
                int r = -errno;

                fd_close(pipe_fds[1]);
                return r;
        }
        fd_close(pipe_fds[1]);

        pid_t pid = clone_child(request->cgroup_fd, &pidfd);

        if (pid < 0 && request->cgroup_fd >= 0) {
                /* By directory needs more rights than by an opened cgroup.procs (and a 5.7 kernel). */
                procs_fd = openat(request->cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
                if (procs_fd < 0)
                        return -errno;
                pid = clone_child(-1, &pidfd);
        }
        if (pid < 0)
                return -errno;
        if (pid == 0)
                child_exec(request, procs_fd, write_fd);

        write_fd = fd_close(write_fd);
        int r = read_exec_error(read_fd);

        if (r < 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                return r;
        }
        *ret_pid = pid;
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}
