/* The root object of envmux-supervisor. */
#pragma once

#include "common/ipc.h"
#include "supervisor/config.h"
#include "supervisor/notify.h"
#include "supervisor/session.h"
#include "supervisor/tracking.h"

#include <event2/event.h>
#include <sys/queue.h>
#include <sys/resource.h>

struct admission;
struct children;
struct control;
struct eras;
struct janitor;
struct peers;
struct rebuild;
struct reload;
struct resolver;
struct routers;
struct status;
struct users;
struct workspaces;

/* Priorities of the loop: a lower number first, and one runs only when nothing before it is ready. */
enum loop_priority {
        LOOP_URGENT,  /* nothing so far; it makes the next one the middle, which is libevent's default */
        LOOP_NORMAL,  /* sockets and timers */
        LOOP_LATE,    /* what must come after everything that peers have already said: negative
                       * answers, exits of children, verdicts on routers, the watchdog */
        LOOP__MAX,
};

/* What main() was told; strings are absolute paths and outlive the supervisor. */
struct supervisor_options {
        const char *config, *runtime, *state;
        const char *drop_ins;       /* folder of what is read after config, NULL: none */
        const char *control;        /* NULL: RUNTIME/control */
        enum tracking_mode tracking;
        const char *cgroup_root;    /* NULL: choose (supervisor/tracking.h) */
        const char *backend_user, *router_user; /* NULL: the same as ours */
        const char *libexec;        /* where envmux-worker, envmux-router and bundled servers live */
        const char *exe;            /* the file we were started from, which may be another one by now */
        char *const *argv;          /* as we were started */
        int start_fd;               /* the working directory that we were started in */
        rlim_t nofile;              /* the soft limit on descriptors that we were started with, which others get */
};

/* Somebody who wants to hear of every move of every session, Monitor for one. Told after the move;
 * session->state is the new one. old == state for a session that has just been
 * made, and when something else that people see has changed. */
struct session_observer {
        TAILQ_ENTRY(session_observer) entry;
        void (*on_change)(struct session *session, enum session_state old, void *userdata);
        void *userdata;
};

/* Counters since the start of this process, for metrics. */
struct supervisor_counters {
        uint64_t probes;                      /* sessions of kind KEY_PROBE, which the others leave out */
        uint64_t sessions_created, sessions_adopted, sessions_stopped, sessions_failed;
        uint64_t resolves, resolves_refused;  /* refused: no room */
        uint64_t routers_lost, workers_lost;
        uint64_t strays_killed;
        uint64_t start_usec_sum;              /* launch to ready, over sessions_started */
        uint64_t sessions_started;
};

struct supervisor {
        struct supervisor_options options;
        struct event_base *base;
        struct config *config;              /* replaced by a reload: never kept across events */
        struct listen_fds listen;
        int sockets_fd, records_fd;         /* RUNTIME/sockets (also the working directory), RUNTIME/records */
        usec_t started_realtime_usec;
        bool is_stopping, is_killing;       /* the orderly stop, and its last resort */
        int exit_code;

        struct session_table *sessions;
        struct tracking *tracking;
        struct users *users;
        struct workspaces *workspaces;
        struct admission *admission;
        struct eras *eras;
        struct peers *peers;
        struct routers *routers;
        struct resolver *resolver;
        struct rebuild *rebuild;
        struct children *children;
        struct control *control;
        int control_fd;                     /* its listening socket */
        struct event *signals[3], *after_end, *stop_deadline;
        struct janitor *janitor;
        struct status *status;
        struct reload *reload;
        TAILQ_HEAD(, session_observer) observers;
        struct supervisor_counters counters;
};

/* Opens folders and sockets, reads what an earlier supervisor left, spawns routers. options are kept by
 * reference; config is consumed. Logs what went wrong. */
int supervisor_new(const struct supervisor_options *options, struct config *config_consume, struct supervisor **ret);
struct supervisor *supervisor_free(struct supervisor *supervisor);
DEFINE_CLEANUP(struct supervisor, supervisor_free)

/* Runs the loop until the orderly stop is complete; returns the exit code. */
int supervisor_run(struct supervisor *supervisor);

/* Begins the orderly stop (SIGTERM): every session is stopped, then routers, then files; again: kills now. */
void supervisor_stop(struct supervisor *supervisor);

/* Says which files hold the configuration beside the one that everybody knows of. */
void supervisor_log_drop_ins(const struct supervisor *supervisor);

void supervisor_observe(struct supervisor *supervisor, struct session_observer *observer);
void supervisor_unobserve(struct supervisor *supervisor, struct session_observer *observer);
