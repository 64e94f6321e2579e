#include "supervisor/router_files.h"

#include "common/fd.h"
#include "common/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#define PATH_SIZE 4096

static int slot_path(const char *runtime, unsigned slot, char ret[static PATH_SIZE])
{
        int n = snprintf(ret, PATH_SIZE, "%s/routers/%u", runtime, slot);

        return n < 0 || n >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

int router_files_write(const char *runtime, unsigned slot, const char *token, pid_t pid)
{
        char path[PATH_SIZE], text[IPC_TOKEN_SIZE + 32];
        int r = slot_path(runtime, slot, path);

        if (r < 0)
                return r;
        int n = snprintf(text, sizeof(text), "%s %d\n", token, (int) pid);

        return fd_write_file_atomic_at(AT_FDCWD, path, text, (size_t) n, 0600);
}

/* True when one argument of the process is the token. */
static bool process_has_token(pid_t pid, const char *token)
{
        char path[64];
        _cleanup_free_ char *text = NULL;
        size_t size = 0;

        (void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
        if (fd_read_file_at(AT_FDCWD, path, 64 * 1024, &text, &size) < 0)
                return false;
        for (const char *arg = text; arg < text + size; arg += strlen(arg) + 1)
                if (streq(arg, token))
                        return true;
        return false;
}

int router_files_open(const char *runtime, unsigned slot, char ret_token[static IPC_TOKEN_SIZE], pid_t *ret_pid)
{
        char path[PATH_SIZE], token[IPC_TOKEN_SIZE];
        _cleanup_free_ char *text = NULL;
        int pid, r = slot_path(runtime, slot, path);

        if (r >= 0)
                r = fd_read_file_at(AT_FDCWD, path, 1024, &text, NULL);
        if (r < 0)
                return r;
        if (sscanf(text, "%39s %d", token, &pid) != 2 || pid <= 0)
                return -ESRCH;
        _cleanup_fd_ int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);

        /* The pidfd first: what is read afterwards is about the process it names, or about none. */
        if (pidfd < 0 || !process_has_token(pid, token))
                return -ESRCH;
        memset(ret_token, 0, IPC_TOKEN_SIZE);
        memcpy(ret_token, token, strlen(token));
        *ret_pid = pid;
        return TAKE_FD(pidfd);
}

void router_files_remove(const char *runtime, unsigned slot)
{
        char path[PATH_SIZE];

        if (slot_path(runtime, slot, path) >= 0)
                (void) unlink(path);
}

static void end_slot(const char *runtime, unsigned slot)
{
        char token[IPC_TOKEN_SIZE];
        pid_t pid;
        _cleanup_fd_ int pidfd = router_files_open(runtime, slot, token, &pid);

        if (pidfd >= 0)
                (void) syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
        router_files_remove(runtime, slot);
}

void router_files_clean(const char *runtime, unsigned n_slots)
{
        char path[PATH_SIZE];

        if ((size_t) snprintf(path, sizeof(path), "%s/routers", runtime) >= sizeof(path))
                return;
        DIR *dir = opendir(path);

        for (struct dirent *de; dir && (de = readdir(dir));) {
                char *end;
                unsigned long slot = strtoul(de->d_name, &end, 10);

                if (end != de->d_name && *end == '\0' && slot >= n_slots && slot <= UINT16_MAX)
                        end_slot(runtime, (unsigned) slot);
        }
        if (dir)
                closedir(dir);
}
