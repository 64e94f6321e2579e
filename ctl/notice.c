#include "ctl/notice.h"

#include "common/fd.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static bool value_of(const char *line, size_t size, const char *name, char *dst, size_t dst_size)
{
        size_t n = strlen(name);

        if (size < n || memcmp(line, name, n) != 0)
                return false;
        (void) snprintf(dst, dst_size, "%.*s", (int) (size - n), line + n);
        return true;
}

static bool is_line(const char *line, size_t size, const char *word)
{
        return size == strlen(word) && memcmp(line, word, size) == 0;
}

static void parse_line(const char *line, size_t size, struct notice *notice)
{
        char number[24];

        if (is_line(line, size, "READY=1"))
                notice->is_ready = true;
        else if (is_line(line, size, "STOPPING=1"))
                notice->is_stopping = true;
        else if (is_line(line, size, "WATCHDOG=1"))
                notice->is_watchdog = true;
        else if (is_line(line, size, "FDSTORE=1"))
                notice->stores_fds = true;
        else if (is_line(line, size, "FDSTOREREMOVE=1"))
                notice->removes_fds = true;
        else if (value_of(line, size, "EXTEND_TIMEOUT_USEC=", number, sizeof(number)))
                notice->extend_usec = strtoull(number, NULL, 10);
        else if (!value_of(line, size, "FDNAME=", notice->fd_name, sizeof(notice->fd_name)))
                (void) value_of(line, size, "STATUS=", notice->status, sizeof(notice->status));
}

void notice_parse(const char *text, size_t size, struct notice *ret)
{
        struct notice notice = { .fd_name = "stored" };

        while (size > 0) {
                const char *end = memchr(text, '\n', size);
                size_t n = end ? (size_t) (end - text) : size;

                parse_line(text, n, &notice);
                text += end ? n + 1 : n;
                size -= end ? n + 1 : n;
        }
        *ret = notice;
}

ssize_t notice_receive(int socket_fd, char text[static NOTICE_SIZE_MAX + 1], int fds[static NOTICE_FDS_MAX],
                       size_t *ret_n_fds, pid_t *ret_pid)
{
        union {
                char bytes[CMSG_SPACE(sizeof(int) * NOTICE_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
                struct cmsghdr align;
        } control;
        struct iovec iov = { .iov_base = text, .iov_len = NOTICE_SIZE_MAX };
        struct msghdr header = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
        };
        ssize_t n = recvmsg(socket_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        text[n] = '\0';
        *ret_n_fds = 0;
        *ret_pid = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
                if (c->cmsg_level != SOL_SOCKET)
                        continue;
                if (c->cmsg_type == SCM_RIGHTS) {
                        *ret_n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                        memcpy(fds, CMSG_DATA(c), *ret_n_fds * sizeof(int));
                } else if (c->cmsg_type == SCM_CREDENTIALS) {
                        struct ucred peer;

                        memcpy(&peer, CMSG_DATA(c), sizeof(peer));
                        *ret_pid = peer.pid;
                }
        }
        return n;
}

int notice_listen(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_fd_ int fd = -1;

        if (STR_COPY(address.sun_path, path) < 0)
                return -ENAMETOOLONG;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int) { 1 }, sizeof(int)) < 0)
                return -errno;
        (void) unlink(path);
        if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static bool is_same_file(int a, int b)
{
        struct stat sa, sb;

        return fstat(a, &sa) >= 0 && fstat(b, &sb) >= 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

int fd_store_add(struct fd_store *store, const char *name, int fd_consume)
{
        _cleanup_fd_ int fd = fd_consume;

        for (size_t i = 0; i < store->n; i++)
                if (streq(store->entries[i].name, name) && is_same_file(store->entries[i].fd, fd))
                        return 0;
        if (store->n == FD_STORE_MAX)
                return -ENOSPC;
        (void) STR_COPY(store->entries[store->n].name, name);
        store->entries[store->n++].fd = TAKE_FD(fd);
        return 0;
}

void fd_store_remove(struct fd_store *store, const char *name)
{
        size_t kept = 0;

        for (size_t i = 0; i < store->n; i++)
                if (streq(store->entries[i].name, name))
                        fd_close(store->entries[i].fd);
                else
                        store->entries[kept++] = store->entries[i];
        store->n = kept;
}

void fd_store_done(struct fd_store *store)
{
        for (size_t i = 0; i < store->n; i++)
                fd_close(store->entries[i].fd);
        store->n = 0;
}
