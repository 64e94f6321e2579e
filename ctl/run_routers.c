#include "ctl/run.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/process_tree.h"
#include "common/time_util.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define COMMAND_LINE_MAX 4096
#define END_MSEC 5000

/* A router of ours: our user, its name, and its working directory is the folder of this control path's sockets. */
static bool is_router_of(pid_t pid, const struct stat *sockets)
{
        char path[32];
        _cleanup_free_ char *words = NULL;
        struct stat st;

        (void) snprintf(path, sizeof(path), "/proc/%d", (int) pid);
        if (stat(path, &st) < 0 || st.st_uid != geteuid())
                return false;
        (void) snprintf(path, sizeof(path), "/proc/%d/cwd", (int) pid);
        if (stat(path, &st) < 0 || st.st_dev != sockets->st_dev || st.st_ino != sockets->st_ino)
                return false;
        (void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
        return fd_read_file_at(AT_FDCWD, path, COMMAND_LINE_MAX, &words, NULL) >= 0 && streq(words, "envmux-router");
}

static int end_one(pid_t pid, void *userdata)
{
        const struct stat *sockets = userdata;

        if (!is_router_of(pid, sockets))
                return 0;
        _cleanup_fd_ int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);

        if (pidfd < 0 || !is_router_of(pid, sockets))
                return 0;
        log_notice("Ending router %d of an earlier run that was killed", (int) pid);
        if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0)
                (void) poll(&(struct pollfd) { .fd = pidfd, .events = POLLIN }, 1, END_MSEC);
        return 0;
}

int run_routers_end(const struct run_folders *folders)
{
        _cleanup_free_ char *path = NULL;
        struct stat sockets;

        if (asprintf(&path, "%s/sockets", folders->runtime) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (stat(path, &sockets) < 0)
                return errno == ENOENT ? 0 : -errno;
        return process_for_each(end_one, &sockets);
}
