/* The foreground host of a supervisor: does for it what systemd's service manager does, with the
 * same protocol (sd_listen_fds(3), sd_notify(3)), so that the supervisor knows one kind of host.
 *
 * It starts the supervisor, starts it again at once when it dies, keeps the sockets that the
 * supervisor stored, and sees to it that no descendant outlives the run. When the watch itself is
 * killed, the supervisor gets SIGTERM from the kernel and ends every session. */
#pragma once

#include "ctl/run.h"

struct watch_options {
        const char *config;                     /* file */
        const char *drop_ins;                   /* folder of what is read after it, NULL: none */
        const char *tracking;                   /* the supervisor's --tracking */
        const struct run_folders *folders;
        const struct run_listeners *listeners;
        int (*on_ready)(void *userdata);        /* at the first READY=1 */
        void *userdata;
};

/* Returns the exit status of the run: 0 after SIGINT, SIGTERM or SIGHUP and an orderly end. */
int watch_run(const struct watch_options *options);
