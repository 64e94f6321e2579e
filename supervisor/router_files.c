#include "supervisor/router_files.h"

#include "common/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#define PATH_SIZE 4096

static int file_path(const char *runtime, const char *name, char ret[static PATH_SIZE])
{
        int n = snprintf(ret, PATH_SIZE, "%s/routers/%s", runtime, name);

        return n < 0 || n >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

int router_files_write(const char *runtime, const char *name, const struct router_file *file)
{
        char path[PATH_SIZE], text[IPC_TOKEN_SIZE + 80];
        int r = file_path(runtime, name, path);

        if (r < 0)
                return r;
        int n = snprintf(text, sizeof(text), "%s %d %llu %llu\n", file->token, (int) file->pid,
                         (unsigned long long) file->device, (unsigned long long) file->inode);

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

int router_files_open(const char *runtime, const char *name, struct router_file *ret)
{
        char path[PATH_SIZE];
        _cleanup_free_ char *text = NULL;
        struct router_file file = { .pid = 0 };
        unsigned long long device = 0, inode = 0;
        int r = file_path(runtime, name, path);

        if (r >= 0)
                r = fd_read_file_at(AT_FDCWD, path, 1024, &text, NULL);
        if (r < 0)
                return r;
        if (sscanf(text, "%39s %d %llu %llu", file.token, &file.pid, &device, &inode) < 2 || file.pid <= 0)
                return -ESRCH;
        _cleanup_fd_ int pidfd = (int) syscall(SYS_pidfd_open, file.pid, 0);

        /* The pidfd first: what is read afterwards is about the process it names, or about none. */
        if (pidfd < 0 || !process_has_token(file.pid, file.token))
                return -ESRCH;
        file.device = device;
        file.inode = inode;
        *ret = file;
        return TAKE_FD(pidfd);
}

int router_files_rename(const char *runtime, const char *from, const char *to)
{
        char old_path[PATH_SIZE], new_path[PATH_SIZE];
        int r = file_path(runtime, from, old_path);

        if (r >= 0)
                r = file_path(runtime, to, new_path);
        return r < 0 ? r : rename(old_path, new_path) < 0 ? -errno : 0;
}

void router_files_remove(const char *runtime, const char *name)
{
        char path[PATH_SIZE];

        if (file_path(runtime, name, path) >= 0)
                (void) unlink(path);
}

void router_files_each(const char *runtime,
                       void (*found)(const char *name, unsigned slot, bool is_former, void *userdata), void *userdata)
{
        char path[PATH_SIZE];
        DIR *dir = file_path(runtime, ".", path) < 0 ? NULL : opendir(path);

        for (struct dirent *de; dir && (de = readdir(dir));) {
                char *end;
                unsigned long slot = strtoul(de->d_name, &end, 10);

                if (end != de->d_name && (*end == '\0' || *end == '.') && slot <= UINT16_MAX)
                        found(de->d_name, (unsigned) slot, *end == '.', userdata);
        }
        if (dir)
                closedir(dir);
}

void router_files_end(const char *runtime, const char *name)
{
        struct router_file file;
        _cleanup_fd_ int pidfd = router_files_open(runtime, name, &file);

        if (pidfd >= 0)
                (void) syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
        router_files_remove(runtime, name);
}
