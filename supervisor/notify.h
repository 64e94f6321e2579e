/* The service manager's protocol, the same with systemd and with the watch of `envmux run`
 * (sd_notify(3), sd_listen_fds(3)). Without NOTIFY_SOCKET everything here quietly does nothing. */
#pragma once

#include "common/macro.h"
#include "common/time_util.h"

/* The sockets we were started with. */
struct listen_fds {
        int *http;      /* TCP listeners */
        size_t n_http;
        int ipc;        /* -1: not stored yet */
        int control;    /* -1 likewise */
};

/* Takes LISTEN_FDS: names "http" (also envmux.socket and anything unknown that listens on TCP),
 * "ipc", "control"; others are closed. Sets close-on-exec. -ENOTSOCK: an http fd does not listen. */
int listen_fds_take(struct listen_fds *ret);
void listen_fds_done(struct listen_fds *fds);

/* What the next supervisor in this process takes with listen_fds_take. */
struct handover {
        const int *http;
        size_t n_http;
        int ipc, control;
};

/* Places the sockets and sets LISTEN_* for the program that this process is about to become; the rest of the
 * manager's variables is still there. Whatever had these numbers is closed, so there is no way back but on
 * failure (-E2BIG, -EMFILE, -ENOMEM). */
int notify_hand_over(const struct handover *handover);

void notify_ready(const char *status);
void notify_status(const char *format, ...) _printf_(1, 2);
void notify_stopping(void);
/* The stop takes up to that long from now on. */
void notify_extend_timeout(usec_t usec);
/* Before and after a reload: RELOADING=1 with MONOTONIC_USEC, later notify_ready. */
void notify_reloading(void);

/* Keeps a dup of fd with the manager under name; it comes back through listen_fds_take. */
int notify_store_fd(const char *name, int fd);
/* Takes what is stored under name out again. */
void notify_forget_fd(const char *name);

/* WATCHDOG_USEC, 0 where no watchdog is wanted. */
usec_t notify_watchdog_usec(void);
/* To be told at a fraction of that, by who is well. */
void notify_watchdog(void);
