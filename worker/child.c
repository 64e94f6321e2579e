#include "worker/child.h"

#include "common/fd.h"
#include "common/nofile.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>

/* What the child says on its status pipe before it gives up; a successful execve closes the pipe. */
struct exec_failure {
        int error;
        char what[28];
};

enum { AT_STDIN, AT_STDOUT, AT_STDERR, AT_STATUS, N_PIPES };

struct child {
        pid_t pid;
        int fds[N_PIPES]; /* our ends */
        struct event *status_event;
        const struct child_ops *ops;
        void *userdata;
};

static _noreturn_ void give_up(int status_fd, const char *what)
{
        struct exec_failure failure = { .error = errno };

        STR_COPY(failure.what, what);
        (void) !write(status_fd, &failure, sizeof(failure));
        _exit(127);
}

/* Ignored and blocked signals survive execve; handlers of ours must not run in the child either. */
static int signals_reset(void)
{
        struct sigaction action = { .sa_handler = SIG_DFL };
        sigset_t none;

        for (int signal = 1; signal < NSIG; signal++)
                (void) sigaction(signal, &action, NULL); /* refused for SIGKILL, SIGSTOP, and libc's own */
        sigemptyset(&none);
        return sigprocmask(SIG_SETMASK, &none, NULL);
}

static _noreturn_ void child_run(const struct launch *launch, const int theirs[static N_PIPES], int cgroup_procs_fd,
                                 pid_t parent)
{
        int status_fd = theirs[AT_STATUS];

        if (setsid() < 0)
                give_up(status_fd, "setsid");
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                give_up(status_fd, "prctl");
        if (getppid() != parent)
                _exit(127); /* the worker died before the line above */
        if (cgroup_procs_fd >= 0 && write(cgroup_procs_fd, "0", 1) < 0)
                give_up(status_fd, "joining the cgroup");
        for (int fd = 0; fd < AT_STATUS; fd++)
                if (dup2(theirs[fd], fd) < 0)
                        give_up(status_fd, "dup2");
        if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
                give_up(status_fd, "close_range");
        if (chdir(launch->cwd) < 0)
                give_up(status_fd, "chdir");
        if (signals_reset() < 0)
                give_up(status_fd, "sigprocmask");
        nofile_restore(launch->nofile);
        execve(launch->argv[0], launch->argv, launch->envp);
        give_up(status_fd, "execve");
}

static void on_status(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct child *child = userdata;
        struct exec_failure failure;
        ssize_t n = read(child->fds[AT_STATUS], &failure, sizeof(failure));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        event_del(child->status_event);
        child->fds[AT_STATUS] = fd_close(child->fds[AT_STATUS]);
        if (n == (ssize_t) sizeof(failure)) {
                failure.what[sizeof(failure.what) - 1] = '\0';
                child->ops->on_exec_failed(child, failure.what, failure.error, child->userdata);
        } else {
                child->ops->on_executed(child, child->userdata);
        }
}

/* Pipes whose numbers are above 2, so that the child's dup2 cannot overwrite one of them. */
static int pipe_high(int ret[static 2])
{
        int low[2];

        if (pipe2(low, O_CLOEXEC) < 0)
                return -errno;
        for (int i = 0; i < 2; i++) {
                ret[i] = low[i] > STDERR_FILENO ? low[i] : fcntl(low[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
                if (ret[i] != low[i])
                        close(low[i]);
        }
        if (ret[0] >= 0 && ret[1] >= 0)
                return 0;
        fd_close(ret[0]);
        fd_close(ret[1]);
        return -EMFILE;
}

static void fds_close(int fds[static N_PIPES])
{
        for (int i = 0; i < N_PIPES; i++)
                fds[i] = fd_close(fds[i]);
}

static int pipes_make(int ours[static N_PIPES], int theirs[static N_PIPES])
{
        for (int i = 0; i < N_PIPES; i++) {
                int ends[2], r = pipe_high(ends);

                if (r < 0)
                        return r;
                ours[i] = ends[i == AT_STDIN];
                theirs[i] = ends[i != AT_STDIN];
                r = fd_nonblock(ours[i], true);
                if (r < 0)
                        return r;
        }
        return 0;
}

static struct child *child_alloc(struct event_base *base, const struct child_ops *ops, void *userdata)
{
        struct child *child = calloc(1, sizeof(*child));

        if (!child)
                return NULL;
        for (int i = 0; i < N_PIPES; i++)
                child->fds[i] = -1;
        child->ops = ops;
        child->userdata = userdata;
        child->status_event = event_new(base, -1, 0, on_status, child);
        return child->status_event ? child : child_free(child);
}

int child_spawn(struct event_base *base, const struct launch *launch, int cgroup_procs_fd, const struct child_ops *ops,
                void *userdata, struct child **ret)
{
        struct child *child = child_alloc(base, ops, userdata);
        int theirs[N_PIPES] = { -1, -1, -1, -1 };
        pid_t parent = getpid();

        if (!child)
                return -ENOMEM;
        int r = pipes_make(child->fds, theirs);

        if (r >= 0) {
                sigset_t all, before;

                /* A handler of ours that ran in the child would write into our loop's own pipe. */
                sigfillset(&all);
                sigprocmask(SIG_SETMASK, &all, &before);
                child->pid = fork();
                if (child->pid == 0)
                        child_run(launch, theirs, cgroup_procs_fd, parent);
                if (child->pid < 0)
                        r = -errno;
                sigprocmask(SIG_SETMASK, &before, NULL);
        }
        fds_close(theirs);
        if (r >= 0) {
                event_assign(child->status_event, base, child->fds[AT_STATUS], EV_READ | EV_PERSIST, on_status, child);
                r = event_add(child->status_event, NULL) < 0 ? -ENOMEM : 0;
        }
        if (r < 0) {
                child_free(child);
                return r;
        }
        *ret = child;
        return 0;
}

struct child *child_free(struct child *child)
{
        if (!child)
                return NULL;
        if (child->status_event)
                event_free(child->status_event);
        fds_close(child->fds);
        free(child);
        return NULL;
}

void child_settle(struct child *child)
{
        if (child->fds[AT_STATUS] >= 0)
                on_status(-1, 0, child);
}

pid_t child_pid(const struct child *child)
{
        return child->pid;
}

int child_take_stdin(struct child *child)
{
        return TAKE_FD(child->fds[AT_STDIN]);
}

int child_take_stdout(struct child *child)
{
        return TAKE_FD(child->fds[AT_STDOUT]);
}

int child_take_stderr(struct child *child)
{
        return TAKE_FD(child->fds[AT_STDERR]);
}
