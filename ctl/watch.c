#include "ctl/watch.h"

#include "ctl/descendants.h"
#include "ctl/watch_child.h"
#include "common/fd.h"
#include "common/log.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define STARTS_MAX 10                          /* this many starts … */
#define STARTS_USEC (10 * USEC_PER_SEC)        /* … in this time are no crash but a defect: give up */
#define READY_USEC (60 * USEC_PER_SEC)
#define STOP_USEC (60 * USEC_PER_SEC)          /* the supervisor may ask for more: EXTEND_TIMEOUT_USEC= */
#define WATCHDOG_USEC (60 * USEC_PER_SEC)
#define KILL_USEC (10 * USEC_PER_SEC)

enum { SIGNAL_INT, SIGNAL_TERM, SIGNAL_HUP, SIGNAL_CHILD, SIGNALS_MAX };

struct watch {
        const struct watch_options *options;
        struct event_base *base;
        struct event *signals[SIGNALS_MAX], *notify, *deadline;
        char *notify_path;
        int notify_fd;
        struct fd_store store;
        pid_t supervisor;          /* 0: not running */
        bool is_ready;             /* this supervisor said READY=1 */
        bool was_ready;            /* one of this run did */
        bool is_stopping;
        usec_t starts[STARTS_MAX]; /* ring of the times of the last starts */
        unsigned n_starts;
        int status;                /* exit status of the run */
};

static void watch_end(struct watch *w, int status)
{
        w->status = status;
        (void) event_base_loopbreak(w->base);
}

static void set_deadline(struct watch *w, usec_t usec)
{
        struct timeval tv = usec_to_timeval(usec);

        (void) event_add(w->deadline, &tv);
}

/* ---- the supervisor's life ------------------------------------------------------------------ */

static bool starts_too_often(struct watch *w)
{
        usec_t *oldest = &w->starts[w->n_starts % STARTS_MAX];
        bool too_often = w->n_starts >= STARTS_MAX && now_usec() - *oldest < STARTS_USEC;

        *oldest = now_usec();
        w->n_starts++;
        return too_often;
}

static void supervisor_start(struct watch *w)
{
        struct watch_child child = {
                .config = w->options->config,
                .drop_ins = w->options->drop_ins,
                .tracking = w->options->tracking,
                .folders = w->options->folders,
                .listeners = w->options->listeners,
                .store = &w->store,
                .notify_path = w->notify_path,
                .watchdog_usec = WATCHDOG_USEC,
        };
        pid_t pid;

        if (starts_too_often(w)) {
                log_error("The supervisor died %d times in %llu s: giving up", STARTS_MAX,
                          (unsigned long long) (STARTS_USEC / USEC_PER_SEC));
                watch_end(w, EXIT_FAILURE);
                return;
        }
        pid = watch_child_start(&child);
        if (pid < 0) {
                log_errno(pid, "Cannot start envmux-supervisor");
                watch_end(w, EXIT_FAILURE);
                return;
        }
        w->supervisor = pid;
        w->is_ready = false;
        set_deadline(w, READY_USEC);
}

static void supervisor_exited(struct watch *w, int wait_status)
{
        bool is_clean = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;

        w->supervisor = 0;
        (void) event_del(w->deadline);
        if (is_clean) {
                watch_end(w, EXIT_SUCCESS);
                return;
        }
        /* What fails before it was ever ready would fail again; its own words were on stderr. */
        if (!w->was_ready) {
                watch_end(w, WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : EXIT_FAILURE);
                return;
        }
        if (WIFSIGNALED(wait_status))
                log_warning("The supervisor was killed by signal %d (%s); starting it again", WTERMSIG(wait_status),
                            strsignal(WTERMSIG(wait_status)));
        else
                log_warning("The supervisor ended with status %d; starting it again", WEXITSTATUS(wait_status));
        /* While stopping, too: the new one finishes the job from the records. */
        supervisor_start(w);
}

static void stop(struct watch *w, int signal_number)
{
        if (!w->supervisor) {
                watch_end(w, EXIT_SUCCESS);
                return;
        }
        if (w->is_stopping) {
                log_warning("Asked again to end: killing everything now");
                watch_end(w, EXIT_FAILURE);
                return;
        }
        w->is_stopping = true;
        log_info("%s: ending every session", strsignal(signal_number));
        (void) kill(w->supervisor, SIGTERM);
        set_deadline(w, STOP_USEC);
}

/* ---- events --------------------------------------------------------------------------------- */

static void on_signal(evutil_socket_t signal_number, _unused_ short what, void *userdata)
{
        stop(userdata, signal_number);
}

static void on_child(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct watch *w = userdata;
        int status;

        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
                if (pid == w->supervisor)
                        supervisor_exited(w, status);
}

static void on_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct watch *w = userdata;

        if (w->is_stopping) {
                log_error("The supervisor did not end in time: killing everything");
                watch_end(w, EXIT_FAILURE);
                return;
        }
        log_error("The supervisor %s: killing it", w->is_ready ? "stopped answering its watchdog" : "was not ready in time");
        (void) kill(w->supervisor, w->is_ready ? SIGABRT : SIGKILL);
        set_deadline(w, READY_USEC);
}

static void supervisor_ready(struct watch *w)
{
        bool is_first = !w->was_ready;

        w->is_ready = w->was_ready = true;
        if (w->is_stopping) {
                (void) kill(w->supervisor, SIGTERM);
                set_deadline(w, STOP_USEC);
                return;
        }
        set_deadline(w, WATCHDOG_USEC);
        if (is_first && w->options->on_ready(w->options->userdata) < 0)
                stop(w, SIGTERM);
}

static void notice_act(struct watch *w, const struct notice *notice, int *fds, size_t n_fds)
{
        for (size_t i = 0; notice->stores_fds && i < n_fds; i++) {
                int r = fd_store_add(&w->store, notice->fd_name, TAKE_FD(fds[i]));

                if (r < 0)
                        log_warning_errno(r, "Cannot keep the supervisor's \"%s\"", notice->fd_name);
        }
        if (notice->removes_fds)
                fd_store_remove(&w->store, notice->fd_name);
        if (notice->status[0])
                log_debug("Supervisor: %s", notice->status);
        if (notice->is_ready && !w->is_ready)
                supervisor_ready(w);
        else if (notice->is_watchdog && w->is_ready && !w->is_stopping)
                set_deadline(w, WATCHDOG_USEC);
        if (notice->extend_usec)
                set_deadline(w, notice->extend_usec);
}

static void on_notify(evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct watch *w = userdata;
        char text[NOTICE_SIZE_MAX + 1];
        int fds[NOTICE_FDS_MAX];
        size_t n_fds;
        pid_t pid;
        ssize_t size = notice_receive(fd, text, fds, &n_fds, &pid);
        struct notice notice;

        if (size < 0)
                return;
        notice_parse(text, (size_t) size, &notice);
        if (pid == w->supervisor)
                notice_act(w, &notice, fds, n_fds);
        /* Those not stored: BARRIER=1 waits for exactly this. */
        for (size_t i = 0; i < n_fds; i++)
                fd_close(fds[i]);
}

/* ---- the run -------------------------------------------------------------------------------- */

static int add_event(struct watch *w, struct event **ret, int fd, short what, event_callback_fn on_event)
{
        *ret = event_new(w->base, fd, (short) (what | EV_PERSIST), on_event, w);
        return *ret && event_add(*ret, NULL) >= 0 ? 0 : -ENOMEM;
}

static int watch_init(struct watch *w)
{
        int r;

        /* Whoever reads our output may leave before us: that must not end every session. */
        (void) signal(SIGPIPE, SIG_IGN);
        /* Orphans of killed workers and supervisors come to us, not to init. */
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return -errno;
        if (asprintf(&w->notify_path, "%s/notify", w->options->folders->runtime) < 0)
                return -ENOMEM;
        w->notify_fd = notice_listen(w->notify_path);
        if (w->notify_fd < 0)
                return w->notify_fd;
        w->base = event_base_new();
        if (!w->base)
                return -ENOMEM;
        w->deadline = event_new(w->base, -1, 0, on_deadline, w);
        r = w->deadline ? 0 : -ENOMEM;
        if (r >= 0)
                r = add_event(w, &w->signals[SIGNAL_INT], SIGINT, EV_SIGNAL, on_signal);
        if (r >= 0)
                r = add_event(w, &w->signals[SIGNAL_TERM], SIGTERM, EV_SIGNAL, on_signal);
        if (r >= 0)
                r = add_event(w, &w->signals[SIGNAL_HUP], SIGHUP, EV_SIGNAL, on_signal);
        if (r >= 0)
                r = add_event(w, &w->signals[SIGNAL_CHILD], SIGCHLD, EV_SIGNAL, on_child);
        if (r >= 0)
                r = add_event(w, &w->notify, w->notify_fd, EV_READ, on_notify);
        return r;
}

static void watch_done(struct watch *w)
{
        for (size_t i = 0; i < SIGNALS_MAX; i++)
                if (w->signals[i])
                        event_free(w->signals[i]);
        if (w->notify)
                event_free(w->notify);
        if (w->deadline)
                event_free(w->deadline);
        if (w->base)
                event_base_free(w->base);
        fd_store_done(&w->store);
        fd_close(w->notify_fd);
        free(w->notify_path);
}

int watch_run(const struct watch_options *options)
{
        struct watch w = { .options = options, .notify_fd = -1 };
        int r = watch_init(&w);

        if (r >= 0) {
                supervisor_start(&w);
                if (!event_base_got_break(w.base))
                        (void) event_base_dispatch(w.base);
        } else {
                w.status = EXIT_FAILURE;
                log_errno(r, "Cannot watch over a supervisor");
        }
        watch_done(&w);
        r = descendants_kill(usec_add(now_usec(), KILL_USEC));
        if (r < 0) {
                log_error("Some processes could not be killed in %llu s", (unsigned long long) (KILL_USEC / USEC_PER_SEC));
                return EXIT_FAILURE;
        }
        if (r > 0)
                log_warning("Killed what the supervisor left behind: processes: %d", r);
        return w.status;
}
