#include "supervisor/process_tree.h"

#include "common/fd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>

#ifndef SYS_pidfd_open
#error "a kernel interface from 2019 is missing"
#endif

static int pid_append(pid_t pid, pid_t **array, size_t *n)
{
        if (*n >= PROCESS_TREE_MAX)
                return -E2BIG;
        /* Grows at powers of two. */
        if ((*n & (*n - 1)) == 0) {
                pid_t *bigger = realloc(*array, (*n ? *n * 2 : 1) * sizeof(pid_t));

                if (!bigger)
                        return -ENOMEM;
                *array = bigger;
        }
        (*array)[(*n)++] = pid;
        return 0;
}

static int append_children(pid_t pid, pid_t **array, size_t *n)
{
        char path[64];
        _cleanup_free_ char *text = NULL;

        (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
        int r = fd_read_file_at(AT_FDCWD, path, PROCESS_TREE_MAX * 12, &text, NULL);

        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        char *p = text;

        for (;;) {
                char *end;
                long child = strtol(p, &end, 10);

                if (end == p)
                        return 0;
                r = pid_append((pid_t) child, array, n);
                if (r < 0)
                        return r;
                p = end;
        }
}

int process_children(pid_t pid, pid_t **ret, size_t *ret_n)
{
        _cleanup_free_ pid_t *children = NULL;
        size_t n = 0;
        int r = append_children(pid, &children, &n);

        if (r < 0)
                return r;
        *ret = TAKE_PTR(children);
        *ret_n = n;
        return 0;
}

int process_descendants(pid_t pid, pid_t **ret, size_t *ret_n)
{
        _cleanup_free_ pid_t *all = NULL;
        size_t n = 0;
        int r = append_children(pid, &all, &n);

        if (r < 0)
                return r;
        /* The array is its own work list: each entry's children are appended behind it. */
        for (size_t i = 0; i < n; i++) {
                r = append_children(all[i], &all, &n);
                if (r < 0 && r != -ESRCH)
                        return r;
        }
        *ret = TAKE_PTR(all);
        *ret_n = n;
        return 0;
}

pid_t process_parent(pid_t pid)
{
        char path[64];
        _cleanup_free_ char *text = NULL;
        int parent;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        int r = fd_read_file_at(AT_FDCWD, path, 4096, &text, NULL);

        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        /* The command name, in parentheses, may hold anything: start after the last one. */
        const char *after_name = strrchr(text, ')');

        char run_state;

        if (!after_name || sscanf(after_name, ") %c %d", &run_state, &parent) != 2)
                return -EBADMSG;
        return run_state == 'Z' || run_state == 'X' ? -ESRCH : parent;
}

bool process_kill_child(pid_t pid, pid_t parent)
{
        _cleanup_fd_ int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);

        if (pidfd < 0 || process_parent(pid) != parent)
                return false;
        return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;
}

void process_kill_tree(pid_t pid)
{
        _cleanup_free_ pid_t *descendants = NULL;
        size_t n = 0;

        (void) process_descendants(pid, &descendants, &n);
        (void) kill(pid, SIGKILL);
        for (size_t i = 0; i < n; i++)
                (void) kill(descendants[i], SIGKILL);
}
