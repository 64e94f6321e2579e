#include "supervisor/cgroup.h"

#include "common/fd.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define PROC_FILE_MAX (1024 * 1024)
#define CGROUP_DEPTH_MAX 64

/* Mount point of the v2 hierarchy, from mountinfo: "… MOUNTPOINT OPTIONS … - cgroup2 …". */
static int find_mount(char *dst, size_t dst_size)
{
        _cleanup_free_ char *text = NULL;
        int r = fd_read_file_at(AT_FDCWD, "/proc/self/mountinfo", PROC_FILE_MAX, &text, NULL);

        if (r < 0)
                return r;
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char mount_point[4096];

                if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %4095s", mount_point) == 1)
                        return str_copy(dst, dst_size, mount_point);
        }
        return -ENOENT;
}

int cgroup_machine_controllers(char **ret)
{
        char path[4096];
        int r = find_mount(path, sizeof(path));

        if (r >= 0 && strlen(path) + sizeof("/cgroup.controllers") <= sizeof(path)) {
                strcat(path, "/cgroup.controllers");
                return fd_read_file_at(AT_FDCWD, path, PROC_FILE_MAX, ret, NULL);
        }
        *ret = strdup("");
        return *ret ? 0 : -ENOMEM;
}

int cgroup_own_path(char **ret)
{
        _cleanup_free_ char *text = NULL;
        char mount_point[4096];
        int r = find_mount(mount_point, sizeof(mount_point));

        if (r < 0)
                return r;
        r = fd_read_file_at(AT_FDCWD, "/proc/self/cgroup", PROC_FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                if (strncmp(line, "0::", 3) != 0)
                        continue;
                const char *path = streq(line + 3, "/") ? "" : line + 3;

                return asprintf(ret, "%s%s", mount_point, path) < 0 ? -ENOMEM : 0;
        }
        return -ENOENT;
}

int cgroup_beside_own(const char *relative, char **ret)
{
        _cleanup_free_ char *own = NULL;
        int r = cgroup_own_path(&own);

        if (r < 0)
                return r;
        while (strncmp(relative, "../", 3) == 0) {
                char *slash = strrchr(own, '/');

                if (!slash || slash == own)
                        return -ENOENT;
                *slash = '\0';
                relative += 3;
        }
        if (!*relative || strstr(relative, ".."))
                return -EINVAL;
        return asprintf(ret, "%s/%s", own, relative) < 0 ? -ENOMEM : 0;
}

/* Not "_": systemd-cgls takes an underscore at the beginning for an escape of its own. */
#define NOBODY "-"

static bool is_reserved(const char *name)
{
        return streq(name, CGROUP_ROUTERS) || streq(name, CGROUP_HOLD) || streq(name, NOBODY);
}

int cgroup_name_escape(const char *name, char *dst, size_t dst_size)
{
        size_t used = 0;

        if (!*name)
                return str_copy(dst, dst_size, NOBODY);
        bool may_be_plain = !is_reserved(name);

        for (const unsigned char *p = (const unsigned char *) name; *p; p++) {
                bool is_plain = may_be_plain && (isalnum(*p) || *p == '-' || (*p == '_' && name[1]));
                size_t needed = is_plain ? 1 : 3;

                if (used + needed >= dst_size)
                        return -ENAMETOOLONG;
                if (is_plain)
                        dst[used] = (char) *p;
                else
                        (void) snprintf(dst + used, dst_size - used, "%%%02x", *p);
                used += needed;
        }
        dst[used] = '\0';
        return 0;
}

int cgroup_name_unescape(const char *escaped, char *dst, size_t dst_size)
{
        size_t used = 0;

        if (streq(escaped, NOBODY))
                return str_copy(dst, dst_size, "");
        if (is_reserved(escaped))
                return -EINVAL;
        for (const char *p = escaped; *p; p++) {
                unsigned byte = (unsigned char) *p;

                if (*p == '%') {
                        if (!isxdigit((unsigned char) p[1]) || !isxdigit((unsigned char) p[2]) ||
                            sscanf(p + 1, "%2x", &byte) != 1)
                                return -EINVAL;
                        p += 2;
                }
                if (byte == 0 || used + 1 >= dst_size)
                        return -EINVAL;
                dst[used++] = (char) byte;
        }
        dst[used] = '\0';
        return 0;
}

static int join(char *dst, size_t dst_size, const char *path, const char *name)
{
        int n = snprintf(dst, dst_size, "%s/%s", path, name);

        return n < 0 || (size_t) n >= dst_size ? -ENAMETOOLONG : 0;
}

int cgroup_read(int root_fd, const char *path, const char *file, char **ret)
{
        char at[4096];
        int r = join(at, sizeof(at), path, file);

        return r < 0 ? r : fd_read_file_at(root_fd, at, PROC_FILE_MAX, ret, NULL);
}

int cgroup_write(int root_fd, const char *path, const char *file, const char *value)
{
        char at[4096];
        int r = join(at, sizeof(at), path, file);

        if (r < 0)
                return r;
        _cleanup_fd_ int fd = openat(root_fd, at, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

        return fd < 0 ? -errno : fd_write_all(fd, value, strlen(value));
}

int cgroup_is_populated(int root_fd, const char *path)
{
        _cleanup_free_ char *text = NULL;
        int r = cgroup_read(root_fd, path, "cgroup.events", &text);

        if (r < 0)
                return r;
        return strstr(text, "populated 1") != NULL;
}

int cgroup_kill(int root_fd, const char *path)
{
        return cgroup_write(root_fd, path, "cgroup.kill", "1");
}

int cgroup_make(int root_fd, const char *path, bool must_be_new)
{
        char at[4096];
        int r = STR_COPY(at, path);

        if (r < 0)
                return r;
        for (char *p = at; (p = strchr(p, '/')); *p++ = '/') {
                *p = '\0';
                if (mkdirat(root_fd, at, 0755) < 0 && errno != EEXIST)
                        return -errno;
        }
        if (mkdirat(root_fd, at, 0755) < 0 && (errno != EEXIST || must_be_new))
                return -errno;
        return 0;
}

struct child_walk {
        int (*each)(const char *name, void *userdata);
        void *userdata;
};

static int on_folder_entry(const struct dirent *entry, void *userdata)
{
        const struct child_walk *walk = userdata;

        return entry->d_type == DT_DIR ? walk->each(entry->d_name, walk->userdata) : 0;
}

int cgroup_each_child(int root_fd, const char *path, int (*each)(const char *name, void *userdata), void *userdata)
{
        struct child_walk walk = { .each = each, .userdata = userdata };

        return fd_each_entry_at(root_fd, path, on_folder_entry, &walk);
}

/* A path that grows downwards. */
struct descent {
        char path[4096];
};

static int on_first_child(const char *name, void *userdata)
{
        struct descent *descent = userdata;
        size_t used = strlen(descent->path);
        int n = snprintf(descent->path + used, sizeof(descent->path) - used, "/%s", name);

        return n < 0 || (size_t) n >= sizeof(descent->path) - used ? -ENAMETOOLONG : 1;
}

/* A backend may have made cgroups of its own below: the deepest goes first. */
int cgroup_remove(int root_fd, const char *path)
{
        if (cgroup_is_populated(root_fd, path) == 1)
                return -EBUSY;
        for (;;) {
                struct descent at;
                int r = STR_COPY(at.path, path) < 0 ? -ENAMETOOLONG : 1;

                for (unsigned depth = 0; r == 1 && depth < CGROUP_DEPTH_MAX; depth++)
                        r = cgroup_each_child(root_fd, at.path, on_first_child, &at);
                if (r == 1)
                        return -ELOOP;
                if (r < 0)
                        return r == -ENOENT ? 0 : r;
                if (unlinkat(root_fd, at.path, AT_REMOVEDIR) < 0)
                        return errno == ENOENT ? 0 : -errno;
                if (streq(at.path, path))
                        return 0;
        }
}
