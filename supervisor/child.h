/* Child processes and how they end. The supervisor is a subreaper, so every exit is collected in one
 * place; a pid means the same process until that place has collected it. */
#pragma once

#include "common/macro.h"

#include <event2/event.h>
#include <sys/queue.h>
#include <sys/types.h>

struct children;

/* A child somebody cares for; embedded in what it belongs to. pid 0: none. */
struct child {
        LIST_ENTRY(child) entry;
        pid_t pid;
        /* code and status as in siginfo_t. The child is forgotten already. */
        void (*on_exit)(struct child *child, int code, int status);
};

/* Collects exits on SIGCHLD, after everything that peers have already said (LOOP_LATE). on_other, which
 * may be NULL, is told the exits of children that nobody registered. */
int children_new(struct event_base *base, void (*on_other)(pid_t pid, void *userdata), void *userdata,
                 struct children **ret);
struct children *children_free(struct children *children);
DEFINE_CLEANUP(struct children, children_free)

void children_add(struct children *children, struct child *child, pid_t pid,
                  void (*on_exit)(struct child *child, int code, int status));
/* Forgets it; fine when it was not added. */
void children_remove(struct child *child);
bool children_know(const struct children *children, pid_t pid);
