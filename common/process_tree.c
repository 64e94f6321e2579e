#include "common/process_tree.h"

#include "common/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>

#ifndef SYS_pidfd_open
#error "a kernel interface from 2019 is missing"
#endif

#define STATUS_BYTES_MAX 65536
#define ENVIRON_BYTES_MAX (4u << 20) /* an environment beyond this is not looked at */

/* What /proc/PID/stat says. start, together with the pid, names one process for ever. */
struct process_stat {
        char state;
        pid_t parent;
        unsigned long long start;
};

struct pid_array {
        pid_t *pids;
        size_t n;
};

static int pid_append(struct pid_array *array, pid_t pid)
{
        if (array->n >= PROCESS_TREE_MAX)
                return -E2BIG;
        /* Grows at powers of two. */
        if ((array->n & (array->n - 1)) == 0) {
                pid_t *bigger = realloc(array->pids, (array->n ? array->n * 2 : 1) * sizeof(pid_t));

                if (!bigger)
                        return -ENOMEM;
                array->pids = bigger;
        }
        array->pids[array->n++] = pid;
        return 0;
}

static int hand_over(int r, struct pid_array *array, pid_t **ret, size_t *ret_n)
{
        if (r < 0) {
                free(array->pids);
                return r;
        }
        *ret = array->pids;
        *ret_n = array->n;
        return 0;
}

static int stat_read(pid_t pid, struct process_stat *ret)
{
        char path[64];
        _cleanup_free_ char *text = NULL;
        struct process_stat stat;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        int r = fd_read_file_at(AT_FDCWD, path, 4096, &text, NULL);

        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        /* The command name, in parentheses, may hold anything: start after the last one. */
        const char *after_name = strrchr(text, ')');

        if (!after_name || sscanf(after_name, ") %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                                  &stat.state, &stat.parent, &stat.start) != 3)
                return -EBADMSG;
        *ret = stat;
        return 0;
}

static bool is_over(const struct process_stat *stat)
{
        return stat->state == 'Z' || stat->state == 'X';
}

int process_for_each(int (*each)(pid_t pid, void *userdata), void *userdata)
{
        DIR *dir = opendir("/proc");
        int r = 0;

        if (!dir)
                return -errno;
        for (struct dirent *de; r >= 0 && (de = readdir(dir));) {
                char *end;
                long pid = strtol(de->d_name, &end, 10);

                if (pid > 0 && !*end)
                        r = each((pid_t) pid, userdata);
        }
        closedir(dir);
        return r < 0 ? r : 0;
}

/* ---- relations -------------------------------------------------------------------------------- */

struct children_scan {
        pid_t parent;
        struct pid_array *array;
};

static int on_scanned(pid_t pid, void *userdata)
{
        struct children_scan *scan = userdata;
        struct process_stat stat;

        return stat_read(pid, &stat) >= 0 && stat.parent == scan->parent ? pid_append(scan->array, pid) : 0;
}

static int append_children_scan(pid_t pid, struct pid_array *array)
{
        struct children_scan scan = { .parent = pid, .array = array };

        return process_for_each(on_scanned, &scan);
}

static int append_children(pid_t pid, struct pid_array *array)
{
        char path[64];
        _cleanup_free_ char *text = NULL;

        (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) pid, (int) pid);
        int r = fd_read_file_at(AT_FDCWD, path, PROCESS_TREE_MAX * 12, &text, NULL);

        if (r == -ENOENT) {
                /* Either there is no such process, or no such file for any. */
                struct process_stat stat;

                r = stat_read(pid, &stat);
                return r < 0 ? r : append_children_scan(pid, array);
        }
        char *p = text;

        while (r >= 0) {
                char *end;
                long child = strtol(p, &end, 10);

                if (end == p)
                        return 0;
                r = pid_append(array, (pid_t) child);
                p = end;
        }
        return r;
}

int process_children(pid_t pid, pid_t **ret, size_t *ret_n)
{
        struct pid_array children = { .n = 0 };

        return hand_over(append_children(pid, &children), &children, ret, ret_n);
}

int process_children_scan(pid_t pid, pid_t **ret, size_t *ret_n)
{
        struct pid_array children = { .n = 0 };

        return hand_over(append_children_scan(pid, &children), &children, ret, ret_n);
}

int process_descendants(pid_t pid, pid_t **ret, size_t *ret_n)
{
        struct pid_array all = { .n = 0 };
        int r = append_children(pid, &all);

        /* The array is its own work list: each entry's children are appended behind it. */
        for (size_t i = 0; r >= 0 && i < all.n; i++) {
                r = append_children(all.pids[i], &all);
                if (r == -ESRCH)
                        r = 0;
        }
        return hand_over(r, &all, ret, ret_n);
}

pid_t process_parent(pid_t pid)
{
        struct process_stat stat;
        int r = stat_read(pid, &stat);

        if (r < 0)
                return r;
        return is_over(&stat) ? -ESRCH : stat.parent;
}

int process_uid(pid_t pid, uid_t *ret)
{
        static const char field[] = "\nUid:\t";
        _cleanup_free_ char *text = NULL;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        int r = fd_read_file_at(AT_FDCWD, path, STATUS_BYTES_MAX, &text, NULL);

        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        const char *line = strstr(text, field); /* the name above it has no line breaks */

        if (!line)
                return -EBADMSG;
        *ret = (uid_t) strtoul(line + strlen(field), NULL, 10);
        return 0;
}

/* ---- killing ---------------------------------------------------------------------------------- */

static int pidfd_open_(pid_t pid)
{
        return (int) syscall(SYS_pidfd_open, pid, 0);
}

static bool pidfd_kill(int pidfd)
{
        return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;
}

bool process_kill_child(pid_t pid, pid_t parent)
{
        _cleanup_fd_ int pidfd = pidfd_open_(pid);
        struct process_stat stat;

        return pidfd >= 0 && stat_read(pid, &stat) >= 0 && stat.parent == parent && !is_over(&stat) && pidfd_kill(pidfd);
}

/* The process that had this start time when it was seen. */
static bool kill_started_at(pid_t pid, unsigned long long start)
{
        _cleanup_fd_ int pidfd = pidfd_open_(pid);
        struct process_stat stat;

        return pidfd >= 0 && stat_read(pid, &stat) >= 0 && stat.start == start && !is_over(&stat) && pidfd_kill(pidfd);
}

unsigned process_kill_descendants(pid_t pid)
{
        _cleanup_free_ unsigned long long *starts = NULL;
        _cleanup_free_ pid_t *pids = NULL;
        unsigned hit = 0;
        size_t n;

        if (process_descendants(pid, &pids, &n) < 0 || n == 0)
                return 0;
        starts = calloc(n, sizeof(*starts));
        if (!starts)
                return 0;
        /* All are looked at before the first dies: then the rest gets new parents. */
        for (size_t i = 0; i < n; i++) {
                struct process_stat stat;

                starts[i] = stat_read(pids[i], &stat) >= 0 ? stat.start : 0;
        }
        for (size_t i = 0; i < n; i++)
                hit += starts[i] > 0 && kill_started_at(pids[i], starts[i]);
        return hit;
}

static bool is_marked(pid_t pid, const char *entry)
{
        char path[64];
        _cleanup_free_ char *text = NULL;
        size_t size;

        (void) snprintf(path, sizeof(path), "/proc/%d/environ", (int) pid);
        if (fd_read_file_at(AT_FDCWD, path, ENVIRON_BYTES_MAX, &text, &size) < 0)
                return false;
        for (const char *p = text; p < text + size; p += strlen(p) + 1)
                if (streq(p, entry))
                        return true;
        return false;
}

struct marked_kill {
        const char *entry;
        uid_t uid;
        unsigned hit;
};

static int on_candidate(pid_t pid, void *userdata)
{
        struct marked_kill *search = userdata;
        uid_t uid;

        /* A zombie has no environment, and so is none of them. */
        if (pid == getpid() || process_uid(pid, &uid) < 0 || uid != search->uid || !is_marked(pid, search->entry))
                return 0;
        _cleanup_fd_ int pidfd = pidfd_open_(pid);

        search->hit += pidfd >= 0 && is_marked(pid, search->entry) && pidfd_kill(pidfd);
        return 0;
}

unsigned process_kill_marked(const char *entry, uid_t uid)
{
        struct marked_kill search = { .entry = entry, .uid = uid };

        (void) process_for_each(on_candidate, &search);
        return search.hit;
}
