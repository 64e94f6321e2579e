/* File descriptors: closing, flags, whole reads and writes, small sealed files. */
#pragma once

#include "common/macro.h"

#include <sys/types.h>

/* Closes fd unless it is negative, keeps errno; returns -1 so that `fd = fd_close(fd)` reads well. */
int fd_close(int fd);

static inline void fd_closep(int *fd)
{
        fd_close(*fd);
}
#define _cleanup_fd_ _cleanup_(fd_closep)

/* Sets or clears O_NONBLOCK. Negative errno on failure. */
int fd_nonblock(int fd, bool nonblock);

/* Sets or clears FD_CLOEXEC. Negative errno on failure. */
int fd_cloexec(int fd, bool cloexec);

/* Reads until EOF, at most size_max bytes (-EFBIG beyond); *ret is NUL-terminated and the caller's
 * to free; ret_size, which may be NULL, does not count the NUL. Blocking fds only. */
int fd_read_all(int fd, size_t size_max, char **ret, size_t *ret_size);

/* Writes all of data to a blocking fd; retries EINTR and short writes. */
int fd_write_all(int fd, const void *data, size_t size);

/* A sealed, read-only memfd (offset 0, close-on-exec) with data inside. Returns the fd. */
int fd_memfd_new(const char *name, const void *data, size_t size);

/* Reads the file at path (relative to dir_fd, which may be AT_FDCWD) as fd_read_all does. */
int fd_read_file_at(int dir_fd, const char *path, size_t size_max, char **ret, size_t *ret_size);

/* Writes a file under a temporary name beside path, then renames it over path: readers see the
 * old content or the new, never half. mode as for open(2). */
int fd_write_file_atomic_at(int dir_fd, const char *path, const void *data, size_t size, mode_t mode);

/* Removes path and everything below it without following symbolic links or leaving its file
 * system; -ENOENT counts as done. */
int fd_remove_tree_at(int dir_fd, const char *path);

/* Calls each with every entry of the folder path (relative to dir_fd) but "." and ".."; entries may be
 * removed meanwhile. Stops at and returns each's first non-zero answer; else 0. */
struct dirent;
int fd_each_entry_at(int dir_fd, const char *path, int (*each)(const struct dirent *entry, void *userdata),
                     void *userdata);

/* mkdir -p: every missing folder of path gets mode; existing ones are left as they are. */
int fd_mkdir_parents(const char *path, mode_t mode);
