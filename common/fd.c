#include "common/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

int fd_close(int fd)
{
        if (fd >= 0) {
                int saved = errno;

                (void) close(fd);
                errno = saved;
        }
        return -1;
}

static int fd_change_flag(int fd, int get, int set, int flag, bool on)
{
        int flags = fcntl(fd, get);

        if (flags < 0)
                return -errno;
        int wanted = on ? flags | flag : flags & ~flag;

        if (wanted != flags && fcntl(fd, set, wanted) < 0)
                return -errno;
        return 0;
}

int fd_nonblock(int fd, bool nonblock)
{
        return fd_change_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, nonblock);
}

int fd_cloexec(int fd, bool cloexec)
{
        return fd_change_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, cloexec);
}

int fd_read_all(int fd, size_t size_max, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *buf = NULL;
        size_t size = 0, allocated = 0;

        for (;;) {
                if (size + 1 >= allocated) {
                        allocated = allocated ? allocated * 2 : 4096;
                        char *bigger = realloc(buf, allocated);

                        if (!bigger)
                                return -ENOMEM;
                        buf = bigger;
                }
                ssize_t n = read(fd, buf + size, allocated - size - 1);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > size_max)
                        return -EFBIG;
        }
        buf[size] = '\0';
        *ret = TAKE_PTR(buf);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int fd_write_all(int fd, const void *data, size_t size)
{
        const char *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

int fd_memfd_new(const char *name, const void *data, size_t size)
{
        _cleanup_fd_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0)
                return -errno;
        int r = fd_write_all(fd, data, size);

        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int fd_read_file_at(int dir_fd, const char *path, size_t size_max, char **ret, size_t *ret_size)
{
        _cleanup_fd_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                return -errno;
        return fd_read_all(fd, size_max, ret, ret_size);
}

int fd_write_file_atomic_at(int dir_fd, const char *path, const void *data, size_t size, mode_t mode)
{
        char temporary[4096];
        int n = snprintf(temporary, sizeof(temporary), "%s.new", path);

        if (n < 0 || (size_t) n >= sizeof(temporary))
                return -ENAMETOOLONG;
        _cleanup_fd_ int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

        if (fd < 0)
                return -errno;
        int r = fd_write_all(fd, data, size);

        if (r >= 0 && renameat(dir_fd, temporary, dir_fd, path) < 0)
                r = -errno;
        if (r < 0)
                (void) unlinkat(dir_fd, temporary, 0);
        return r < 0 ? r : 0;
}

/* One pass over the folder behind dir: files go at once, the first subfolder found is entered by
 * the caller's loop. No recursion: the depth of a hostile tree must not become stack. */
static int dir_empty_or_descend(int dir_fd, dev_t device, int *ret_child_fd)
{
        int r = 0, scan_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (scan_fd < 0)
                return -errno;
        DIR *dir = fdopendir(scan_fd);

        if (!dir) {
                r = -errno;
                fd_close(scan_fd);
                return r;
        }
        *ret_child_fd = -1;
        for (struct dirent *de; (de = readdir(dir));) {
                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                if (unlinkat(dir_fd, de->d_name, 0) == 0 || errno == ENOENT)
                        continue;
                if (errno != EISDIR && errno != EPERM) {
                        r = -errno;
                        break;
                }
                if (unlinkat(dir_fd, de->d_name, AT_REMOVEDIR) == 0)
                        continue;
                if (errno != ENOTEMPTY && errno != EEXIST && errno != EACCES) {
                        r = -errno;
                        break;
                }
                int child = openat(dir_fd, de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

                if (child < 0 && errno == EACCES && fchmodat(dir_fd, de->d_name, 0700, 0) == 0)
                        child = openat(dir_fd, de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                struct stat st;

                if (child < 0 || fstat(child, &st) < 0) {
                        r = -errno;
                        fd_close(child);
                        break;
                }
                if (st.st_dev != device) {
                        fd_close(child);
                        r = -EXDEV;
                        break;
                }
                (void) fchmod(child, 0700);
                *ret_child_fd = child;
                break;
        }
        closedir(dir);
        return r;
}

int fd_remove_tree_at(int dir_fd, const char *path)
{
        if (unlinkat(dir_fd, path, 0) == 0 || errno == ENOENT)
                return 0;
        _cleanup_fd_ int top = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct stat top_st;

        if (top < 0 || fstat(top, &top_st) < 0)
                return -errno;
        _cleanup_fd_ int at = fcntl(top, F_DUPFD_CLOEXEC, 3);

        if (at < 0)
                return -errno;
        for (;;) {
                int child = -1, r = dir_empty_or_descend(at, top_st.st_dev, &child);

                if (r < 0)
                        return r;
                if (child >= 0) {
                        fd_close(at);
                        at = child;
                        continue;
                }
                struct stat st;

                if (fstat(at, &st) < 0)
                        return -errno;
                if (st.st_ino == top_st.st_ino)
                        break;
                /* This folder is empty now: go up, where the next pass removes it by name. */
                int up = openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (up < 0)
                        return -errno;
                fd_close(at);
                at = up;
        }
        return unlinkat(dir_fd, path, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int fd_mkdir_parents(const char *path, mode_t mode)
{
        char buf[4096];
        int r = STR_COPY(buf, path);

        if (r < 0)
                return r;
        for (char *p = buf + 1; *p; p++) {
                if (*p != '/')
                        continue;
                *p = '\0';
                if (mkdir(buf, mode) < 0 && errno != EEXIST)
                        return -errno;
                *p = '/';
        }
        return mkdir(buf, mode) < 0 && errno != EEXIST ? -errno : 0;
}
