/* What is remembered of each router in RUNTIME/routers/NAME: "TOKEN PID DEVICE INODE". The name is its slot, or
 * SLOT.PID once another one has the slot and it only serves what it has accepted. */
#pragma once

#include "common/ipc.h"

#include <sys/types.h>

#define ROUTER_NAME_SIZE 24

struct router_file {
        char token[IPC_TOKEN_SIZE];
        pid_t pid;                 /* 0: not known yet */
        uint64_t device, inode;    /* of the program that it runs; what it keeps open, no other file is */
};

/* Atomic, mode 0600. */
int router_files_write(const char *runtime, const char *name, const struct router_file *file);

/* The router when it still runs: returns a pidfd, the caller's. Its command line must name the token, since a pid
 * alone may be anybody's by now. -ESRCH: it does not run. */
int router_files_open(const char *runtime, const char *name, struct router_file *ret);

int router_files_rename(const char *runtime, const char *from, const char *to);
void router_files_remove(const char *runtime, const char *name);

/* Calls found for each; slot is that of its name, is_former says that another one has it. */
void router_files_each(const char *runtime,
                       void (*found)(const char *name, unsigned slot, bool is_former, void *userdata), void *userdata);

/* SIGTERM to a router that nobody needs, and its file goes. */
void router_files_end(const char *runtime, const char *name);
