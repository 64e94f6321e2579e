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

int cgroup_name_escape(const char *name, char *dst, size_t dst_size)
{
        size_t used = 0;

        if (!*name)
                return str_copy(dst, dst_size, "_");
        for (const unsigned char *p = (const unsigned char *) name; *p; p++) {
                bool is_plain = isalnum(*p) || *p == '-' || (*p == '_' && name[1]);
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

        if (streq(escaped, "_"))
                return str_copy(dst, dst_size, "");
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

int cgroup_is_populated(int root_fd, const char *path)
{
        char file[4096];
        _cleanup_free_ char *text = NULL;
        int r = join(file, sizeof(file), path, "cgroup.events");

        if (r >= 0)
                r = fd_read_file_at(root_fd, file, PROC_FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        return strstr(text, "populated 1") != NULL;
}

int cgroup_kill(int root_fd, const char *path)
{
        char file[4096];
        int r = join(file, sizeof(file), path, "cgroup.kill");

        if (r < 0)
                return r;
        _cleanup_fd_ int fd = openat(root_fd, file, O_WRONLY | O_CLOEXEC);

        return fd < 0 ? -errno : fd_write_all(fd, "1", 1);
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

int cgroup_each_child(int root_fd, const char *path, int (*each)(const char *name, void *userdata), void *userdata)
{
        int r = 0, fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        DIR *dir = fdopendir(fd);

        if (!dir) {
                r = -errno;
                fd_close(fd);
                return r;
        }
        for (struct dirent *de; r >= 0 && (de = readdir(dir));)
                if (de->d_type == DT_DIR && !streq(de->d_name, ".") && !streq(de->d_name, ".."))
                        r = each(de->d_name, userdata);
        closedir(dir);
        return r;
}

/* First subfolder of path, joined, or -ENOENT when it has none. */
static int first_child(int root_fd, const char *path, char *dst, size_t dst_size)
{
        int r = -ENOENT, fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        DIR *dir = fdopendir(fd);

        if (!dir) {
                r = -errno;
                fd_close(fd);
                return r;
        }
        for (struct dirent *de; r == -ENOENT && (de = readdir(dir));)
                if (de->d_type == DT_DIR && !streq(de->d_name, ".") && !streq(de->d_name, ".."))
                        r = join(dst, dst_size, path, de->d_name);
        closedir(dir);
        return r;
}

/* A backend may have made cgroups of its own below: the deepest goes first. */
int cgroup_remove(int root_fd, const char *path)
{
        char at[4096];

        if (cgroup_is_populated(root_fd, path) == 1)
                return -EBUSY;
        for (;;) {
                int r = STR_COPY(at, path);

                for (unsigned depth = 0; r >= 0 && depth < CGROUP_DEPTH_MAX; depth++) {
                        char child[4096];

                        r = first_child(root_fd, at, child, sizeof(child));
                        if (r >= 0)
                                r = STR_COPY(at, child);
                }
                if (r == -ENOENT && unlinkat(root_fd, at, AT_REMOVEDIR) < 0)
                        return errno == ENOENT ? 0 : -errno;
                if (r != -ENOENT)
                        return r < 0 ? r : -ELOOP;
                if (streq(at, path))
                        return 0;
        }
}
