/* Starting the supervisor as a service manager does. */
#pragma once

#include "ctl/notice.h"
#include "ctl/run.h"

struct watch_child {
        const char *config, *tracking;
        const char *drop_ins; /* NULL: none */
        const struct run_folders *folders;
        const struct run_listeners *listeners;
        const struct fd_store *store;
        const char *notify_path;
        usec_t watchdog_usec;
};

/* Forks and execs envmux-supervisor. Returns its pid, or what exec failed with. */
pid_t watch_child_start(const struct watch_child *child);

/* Runs `envmux-supervisor --check --config FILE`, with drop-ins unless NULL, and returns its exit status (0: no mistake), or a
 * negative errno. */
int watch_child_check(const char *config, const char *drop_ins);
