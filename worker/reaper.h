/* Children and how they end. The worker is the subreaper of everything its backend starts: whatever
 * loses its parent becomes its child, so that killing the direct children again and again reaches
 * every descendant. A direct child's pid cannot be reused before it is reaped here, so acting on it
 * is safe. */
#pragma once

#include "common/macro.h"
#include "common/time_util.h"

#include <event2/event.h>
#include <signal.h>

struct reaper;

struct reaper_ops {
        void (*on_exited)(pid_t pid, int code, int status, void *userdata); /* si_code, si_status */
        /* First rung of the stop ladder: close the backend's input. */
        void (*on_close_input)(void *userdata);
        /* After reaper_stop: no child is left, or (is_clean false) one could not be killed in time. */
        void (*on_empty)(bool is_clean, void *userdata);
};

/* Makes the process a subreaper and listens for SIGCHLD. */
int reaper_new(struct event_base *base, const struct reaper_ops *ops, void *userdata, struct reaper **ret);
struct reaper *reaper_free(struct reaper *reaper);

/* leader leads the backend's process group. */
void reaper_watch(struct reaper *reaper, pid_t leader);

/* The stop ladder: close input, after rung_usec SIGTERM to the group, after rung_usec SIGKILL to
 * every child until none is left. A second call with a shorter rung shortens what is left. */
void reaper_stop(struct reaper *reaper, usec_t rung_usec);
