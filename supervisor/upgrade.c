#include "supervisor/upgrade.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/nofile.h"
#include "supervisor/environment.h"
#include "supervisor/log_event.h"
#include "supervisor/notify.h"
#include "supervisor/peers.h"
#include "supervisor/spawn.h"
#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CHECK_USEC (20 * USEC_PER_SEC)
#define OUTPUT_MAX 512 /* of what the new file says against itself */

bool upgrade_is_due(const struct supervisor *supervisor)
{
        struct stat ours, new;

        /* What runs keeps its inode, so that no other file can have its number. */
        return stat("/proc/self/exe", &ours) == 0 && stat(supervisor->options.exe, &new) == 0 &&
               (ours.st_dev != new.st_dev || ours.st_ino != new.st_ino);
}

/* ---- the check -------------------------------------------------------------------------------- */

struct upgrade_check {
        struct supervisor *supervisor;
        struct child child;
        struct event *deadline;
        int pidfd, output_fd;
        bool is_late;
        void (*on_done)(const char *why_not, void *userdata);
        void *userdata;
};

/* Its first line, where it wrote one. */
static void read_output(const struct upgrade_check *check, char ret[static OUTPUT_MAX])
{
        ssize_t n = read(check->output_fd, ret, OUTPUT_MAX - 1);

        ret[n > 0 ? n : 0] = '\0';
        ret[strcspn(ret, "\n")] = '\0';
}

static void on_check_exit(struct child *child, int code, int status)
{
        struct upgrade_check *check = (struct upgrade_check *) ((char *) child - offsetof(struct upgrade_check, child));
        const char *exe = check->supervisor->options.exe;
        char output[OUTPUT_MAX], why[OUTPUT_MAX + 4096 + 64];

        event_del(check->deadline);
        read_output(check, output);
        if (code == CLD_EXITED && status == 0) {
                check->on_done(NULL, check->userdata);
                return;
        }
        if (check->is_late)
                (void) snprintf(why, sizeof(why), "the new %s does not answer --check", exe);
        else if (code == CLD_EXITED)
                (void) snprintf(why, sizeof(why), "the new %s refuses (status %d)%s%s", exe, status, *output ? ": " : "",
                                output);
        else
                (void) snprintf(why, sizeof(why), "the new %s dies of signal %d", exe, status);
        check->on_done(why, check->userdata);
}

static void on_check_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct upgrade_check *check = userdata;

        check->is_late = true;
        (void) kill(check->child.pid, SIGKILL);
}

static int check_spawn(struct upgrade_check *check, int output_fd)
{
        const struct supervisor_options *options = &check->supervisor->options;
        _cleanup_free_ char **env = environment_make(NULL);
        const char *const argv[] = {
                "envmux-supervisor", "--check", "--config", options->config, options->drop_ins ? "--drop-ins" : NULL,
                options->drop_ins, NULL,
        };
        const struct spawn_request request = {
                .path = options->exe,
                .argv = argv,
                .envp = (const char *const *) env,
                .cgroup_fd = -1,
                .output_fd = output_fd,
        };
        struct timeval timeout = usec_to_timeval(CHECK_USEC);
        pid_t pid;

        if (!env)
                return -ENOMEM;
        int r = spawn_process(&request, &pid, &check->pidfd);

        if (r < 0)
                return r;
        children_add(check->supervisor->children, &check->child, pid, on_check_exit);
        return event_add(check->deadline, &timeout);
}

int upgrade_check_new(struct supervisor *supervisor, void (*on_done)(const char *why_not, void *userdata),
                      void *userdata, struct upgrade_check **ret)
{
        _cleanup_(upgrade_check_freep) struct upgrade_check *check = calloc(1, sizeof(*check));
        int fds[2];

        if (!check)
                return -ENOMEM;
        check->supervisor = supervisor;
        check->on_done = on_done;
        check->userdata = userdata;
        check->pidfd = check->output_fd = -1;
        check->deadline = event_new(supervisor->base, -1, 0, on_check_deadline, check);
        if (!check->deadline)
                return -ENOMEM;
        /* A pipe that nobody reads until the end: it holds more than is wanted, and no more than that. */
        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        _cleanup_fd_ int output_fd = fds[1];

        check->output_fd = fds[0];
        int r = check_spawn(check, output_fd);

        if (r >= 0)
                *ret = TAKE_PTR(check);
        return r;
}

struct upgrade_check *upgrade_check_free(struct upgrade_check *check)
{
        if (!check)
                return NULL;
        if (check->child.pid > 0)
                (void) kill(check->child.pid, SIGKILL);
        children_remove(&check->child);
        if (check->deadline)
                event_free(check->deadline);
        fd_close(check->pidfd);
        fd_close(check->output_fd);
        free(check);
        return NULL;
}

/* ---- becoming it ------------------------------------------------------------------------------ */

static sigset_t held_signals(void)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        return set;
}

void upgrade_hold_signals(void)
{
        sigset_t set = held_signals();

        (void) sigprocmask(SIG_BLOCK, &set, NULL);
}

void upgrade_release_signals(void)
{
        sigset_t set = held_signals();

        (void) sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void upgrade_exec(struct supervisor *supervisor)
{
        const struct supervisor_options *options = &supervisor->options;
        struct handover handover = {
                .http = supervisor->listen.http,
                .n_http = supervisor->listen.n_http,
                .ipc = peers_listen_fd(supervisor->peers),
                .control = supervisor->control_fd,
        };

        log_event(LOG_EVENT_UPGRADE, "another file is %s now: becoming it", options->exe);
        /* Everything else is closed by exec. Relative paths on our command line are of where we were started. */
        int r = fchdir(options->start_fd) < 0 ? -errno : notify_hand_over(&handover);

        if (r >= 0) {
                nofile_restore(options->nofile);
                (void) execv(options->exe, options->argv);
                r = -errno;
        }
        (void) log_errno(r, "cannot become %s: ending, to be started again", options->exe);
        _exit(EXIT_FAILURE);
}
