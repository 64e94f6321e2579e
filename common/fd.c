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

int fd_each_entry_at(int dir_fd, const char *path, int (*each)(const struct dirent *entry, void *userdata),
                     void *userdata)
{
        _cleanup_fd_ int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int r = 0;

        if (fd < 0)
                return -errno;
        DIR *dir = fdopendir(fd);

        if (!dir)
                return -errno;
        (void) TAKE_FD(fd); /* closedir closes it */
        for (struct dirent *entry; r == 0 && (entry = readdir(dir));)
                if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
                        r = each(entry, userdata);
        closedir(dir);
        return r;
}

/* What one pass over a folder needs. */
struct empty_pass {
        int dir_fd;
        dev_t device;
        int child_fd; /* a subfolder that is not empty, -1: none found */
};

/* A folder whose owner, who is us, may have taken every right from it. */
static int open_locked_folder(int dir_fd, const char *name)
{
        int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        int fd = openat(dir_fd, name, flags);

        if (fd < 0 && errno == EACCES && fchmodat(dir_fd, name, 0700, 0) == 0)
                fd = openat(dir_fd, name, flags);
        if (fd >= 0)
                (void) fchmod(fd, 0700);
        return fd;
}

static int subfolder_open(const struct empty_pass *pass, const char *name)
{
        _cleanup_fd_ int fd = open_locked_folder(pass->dir_fd, name);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        return st.st_dev == pass->device ? TAKE_FD(fd) : -EXDEV;
}

/* Files and empty folders go at once; the first other folder ends the pass and is entered by the
 * caller's loop. No recursion: the depth of a hostile tree must not become stack. */
static int on_entry_to_remove(const struct dirent *entry, void *userdata)
{
        struct empty_pass *pass = userdata;

        if (unlinkat(pass->dir_fd, entry->d_name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        if (unlinkat(pass->dir_fd, entry->d_name, AT_REMOVEDIR) == 0)
                return 0;
        if (errno != ENOTEMPTY && errno != EEXIST && errno != EACCES)
                return -errno;
        int fd = subfolder_open(pass, entry->d_name);

        if (fd < 0)
                return fd;
        pass->child_fd = fd;
        return 1;
}

#define WAY_LEVELS_MAX 2048

/* The folders above the one where the walk is, the nearest ones known. Where none is known any more the walk begins
 * again at the top. */
struct way {
        ino_t levels[WAY_LEVELS_MAX]; /* a ring */
        size_t n, n_known;
};

/* Back to where the walk came from, and nowhere else: whoever moves the folder out of the tree meanwhile must not
 * lead us to what is above its new place. */
static int go_up(struct way *way, int top, int at)
{
        if (way->n_known == 0) {
                int fd = fcntl(top, F_DUPFD_CLOEXEC, 3);

                way->n = 0;
                return fd < 0 ? -errno : fd;
        }
        _cleanup_fd_ int up = openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st, top_st;

        if (up < 0 || fstat(up, &st) < 0 || fstat(top, &top_st) < 0)
                return -errno;
        way->n--;
        way->n_known--;
        return st.st_ino == way->levels[way->n % WAY_LEVELS_MAX] && st.st_dev == top_st.st_dev ? TAKE_FD(up) : -ESTALE;
}

static int go_down(struct way *way, int at)
{
        struct stat st;

        if (fstat(at, &st) < 0)
                return -errno;
        way->levels[way->n++ % WAY_LEVELS_MAX] = st.st_ino;
        way->n_known = MIN_OF(way->n_known + 1, (size_t) WAY_LEVELS_MAX);
        return 0;
}

int fd_remove_tree_at(int dir_fd, const char *path)
{
        if (unlinkat(dir_fd, path, 0) == 0 || errno == ENOENT)
                return 0;
        _cleanup_fd_ int top = open_locked_folder(dir_fd, path);
        struct stat top_st;

        if (top < 0 || fstat(top, &top_st) < 0)
                return -errno;
        _cleanup_fd_ int at = fcntl(top, F_DUPFD_CLOEXEC, 3);
        struct way way = { .n = 0 };

        if (at < 0)
                return -errno;
        for (;;) {
                struct empty_pass pass = { .dir_fd = at, .device = top_st.st_dev, .child_fd = -1 };
                int r = fd_each_entry_at(at, ".", on_entry_to_remove, &pass);

                if (r < 0)
                        return r;
                if (pass.child_fd < 0 && way.n == 0)
                        break;
                /* Without a child this folder is empty now: above, the next pass removes it by name. */
                int next = pass.child_fd;

                r = next >= 0 ? go_down(&way, at) : go_up(&way, top, at);
                if (r < 0) {
                        fd_close(next);
                        return r;
                }
                fd_close(at);
                at = next >= 0 ? next : r;
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
