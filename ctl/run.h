/* What `envmux run` works on: folders, listeners, the configuration, and who made them. */
#pragma once

#include "common/macro.h"

#define RUN_LISTENERS_MAX 8

/* ---- folders (run_folders.c) --------------------------------------------------------------- */

struct run_folders {
        char *control; /* path of the control socket */
        char *runtime; /* sockets, records; gone at the end */
        char *state;   /* workspaces of this run; gone at the end */
        int lock_fd;   /* held while this run or its supervisor lives */
};

#define RUN_FOLDERS_EMPTY { .lock_fd = -1 }

/* Chooses, makes and locks the folders. control NULL: $XDG_RUNTIME_DIR/envmux/control, else
 * /run/envmux/control. Says what is wrong on stderr and returns a negative errno: -EBUSY when
 * another run holds them. */
int run_folders_make(const char *control, struct run_folders *ret);

/* Removes both folders with all that is in them. */
void run_folders_remove(struct run_folders *folders);

/* Removes them only where nothing is in them: what an earlier run left is for the next one to adopt. */
void run_folders_give_up(struct run_folders *folders);

/* Frees and unlocks; removes nothing. */
void run_folders_done(struct run_folders *folders);

/* ---- listeners (run_listen.c) -------------------------------------------------------------- */

struct run_listeners {
        int fds[RUN_LISTENERS_MAX];
        size_t n;
};

/* Binds every ADDR:PORT of the comma-separated text ([ADDR]:PORT for IPv6, port 0: any). Says what
 * is wrong on stderr and returns a negative errno: -EINVAL for a mistake in text. */
int run_listeners_make(const char *text, struct run_listeners *ret);
void run_listeners_done(struct run_listeners *listeners);

/* "http://127.0.0.1:8700" of one listener; a wildcard address is written as loopback. The caller's. */
int run_listener_url(int fd, char **ret);

/* ---- routers of an earlier run (run_routers.c) ---------------------------------------------- */

/* Ends the routers of a run that was killed together with its supervisor: they still listen, perhaps on the very
 * addresses that this run asks for. Its sessions are left alone. Call it while the lock is held. */
int run_routers_end(const struct run_folders *folders);

/* ---- configuration (run_config.c) ---------------------------------------------------------- */

/* True when a command of the command line can be started: a path, or a name in PATH or among our own
 * programs, as the supervisor looks for it. */
bool run_command_exists(const char *name);

/* Writes RUNTIME/config.json with one server "default" that runs argv where we are now. *ret_path
 * is the caller's. */
int run_config_write(const char *runtime, char *const *argv, char **ret_path);

/* ---- what to tell the user (run_greeting.c) ------------------------------------------------- */

/* Prints the URL of every server and the entry for a client's configuration. */
int run_greeting_print(const char *control, const struct run_listeners *listeners);
