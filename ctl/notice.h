/* The receiving side of the service notification protocol (sd_notify(3)): what one datagram says,
 * and the file descriptors that a service leaves with its manager (systemd.service(5),
 * FileDescriptorStoreMax=). */
#pragma once

#include "common/time_util.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define NOTICE_SIZE_MAX 4096
#define NOTICE_FDS_MAX 16
#define FD_STORE_MAX 64
#define FD_NAME_SIZE 64

struct notice {
        bool is_ready, is_stopping, is_watchdog;
        bool stores_fds, removes_fds;
        char fd_name[FD_NAME_SIZE];   /* "stored" when none was given */
        char status[256];             /* "" when none was given */
        usec_t extend_usec;           /* 0: no EXTEND_TIMEOUT_USEC= */
};

/* Reads the lines of one datagram; unknown ones are skipped, as systemd does. */
void notice_parse(const char *text, size_t size, struct notice *ret);

/* Receives one datagram from the notify socket with its fds, which are the caller's, and the
 * sender's pid as the kernel tells it. Returns its size, -EAGAIN when there is none. text gets a
 * final NUL. */
ssize_t notice_receive(int socket_fd, char text[static NOTICE_SIZE_MAX + 1], int fds[static NOTICE_FDS_MAX],
                       size_t *ret_n_fds, pid_t *ret_pid);

/* Binds the notify socket at path, replacing what a killed predecessor left. Returns fd. */
int notice_listen(const char *path);

struct fd_store {
        struct {
                int fd;
                char name[FD_NAME_SIZE];
        } entries[FD_STORE_MAX];
        size_t n;
};

/* Takes fd; a second fd for the same open socket or file closes it again. -ENOSPC closes it, too. */
int fd_store_add(struct fd_store *store, const char *name, int fd_consume);
void fd_store_remove(struct fd_store *store, const char *name);
void fd_store_done(struct fd_store *store);
