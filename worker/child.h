/* The backend process: spawned once, with three pipes, its own session and process group, the
 * default signals and nothing open that it was not given. */
#pragma once

#include "worker/launch.h"

#include <event2/event.h>
#include <sys/types.h>

struct child;

struct child_ops {
        void (*on_executed)(struct child *child, void *userdata);
        /* The program could not be executed; what is the step that failed ("execve", "chdir", …). */
        void (*on_exec_failed)(struct child *child, const char *what, int error, void *userdata);
};

/* Forks and executes launch. cgroup_procs_fd (or any fd that takes a write of "0") is how the child
 * joins its cgroup before it runs anything; -1: none. One of the callbacks follows from the loop. */
int child_spawn(struct event_base *base, const struct launch *launch, int cgroup_procs_fd, const struct child_ops *ops,
                void *userdata, struct child **ret);
struct child *child_free(struct child *child);

/* The child has exited: tells now what its execution came to, if that was not told before. */
void child_settle(struct child *child);

pid_t child_pid(const struct child *child);

/* Our ends of the pipes, non-blocking; each can be taken once, -1 after that. */
int child_take_stdin(struct child *child);
int child_take_stdout(struct child *child);
int child_take_stderr(struct child *child);
