#include "supervisor/orderly_stop.h"

#include "common/log.h"
#include "supervisor/admission.h"
#include "supervisor/control.h"
#include "supervisor/folders.h"
#include "supervisor/janitor.h"
#include "supervisor/lifecycle.h"
#include "supervisor/log_event.h"
#include "supervisor/rebuild.h"
#include "supervisor/routers.h"
#include "supervisor/supervisor.h"

#define MARGIN_USEC (20 * USEC_PER_SEC)   /* beyond the sessions' own deadlines */
#define LOOK_AGAIN_USEC (10 * USEC_PER_MSEC)
#define LAST_USEC (20 * USEC_PER_SEC)     /* from killing everything to giving up */
#define FINISH_USEC (20 * USEC_PER_SEC)   /* routers and files, once no session is left */

static void finish(struct supervisor *supervisor);

static void for_each_session(struct supervisor *supervisor, void (*each)(struct session *session))
{
        struct session *s = session_next(supervisor->sessions, NULL);

        while (s) {
                struct session *next = session_next(supervisor->sessions, s);

                each(s);
                s = next;
        }
}

static void stop_one(struct session *s)
{
        lifecycle_stop(s, REASON_stopping, NULL, s->drain_usec);
}

static void kill_one(struct session *s)
{
        lifecycle_kill(s, REASON_stopping);
}

static void deadline_set(struct supervisor *supervisor, usec_t usec)
{
        struct timeval timeout = usec_to_timeval(usec);

        event_add(supervisor->stop_deadline, &timeout);
}

static void kill_everything(struct supervisor *supervisor)
{
        for_each_session(supervisor, kill_one);
        deadline_set(supervisor, LAST_USEC);
        supervisor->is_killing = true;
}

static void on_deadline(_unused_ int fd, _unused_ short what, void *userdata)
{
        struct supervisor *supervisor = userdata;

        if (!supervisor->is_killing) {
                log_warning("the stop takes too long: killing %u sessions", session_count(supervisor->sessions));
                kill_everything(supervisor);
                return;
        }
        log_error("giving up: %u sessions could not be ended", session_count(supervisor->sessions));
        supervisor->exit_code = EXIT_FAILURE;
        event_base_loopexit(supervisor->base, NULL);
}

static usec_t longest_stop(const struct supervisor *supervisor)
{
        usec_t longest = 0;

        for (struct session *s = session_next(supervisor->sessions, NULL); s; s = session_next(supervisor->sessions, s))
                longest = MAX_OF(longest, usec_add(s->drain_usec, 2 * s->rung_usec));
        return longest;
}

void supervisor_stop(struct supervisor *supervisor)
{
        if (supervisor->is_stopping) {
                kill_everything(supervisor);
                return;
        }
        log_event(LOG_EVENT_STOPPING, "stopping: %u sessions", session_count(supervisor->sessions));
        supervisor->is_stopping = true;
        notify_stopping();
        supervisor->stop_deadline = event_new(supervisor->base, -1, 0, on_deadline, supervisor);
        if (!supervisor->stop_deadline) {
                event_base_loopexit(supervisor->base, NULL);
                return;
        }
        usec_t stop_usec = usec_add(longest_stop(supervisor), MARGIN_USEC);

        deadline_set(supervisor, stop_usec);
        /* Who started us has a patience of its own, which may be shorter than what requests may drain. */
        notify_extend_timeout(usec_add(stop_usec, LAST_USEC + FINISH_USEC));
        for_each_session(supervisor, stop_one);
        rebuild_give_up(supervisor->rebuild);
        admission_stop(supervisor->admission);
        event_active(supervisor->after_end, EV_TIMEOUT, 0);
}

static void on_look_again(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        finish(userdata);
}

/* Sessions and routers are gone; what is left may have children that we inherit only when it is dead. */
static void finish(struct supervisor *supervisor)
{
        struct timeval again = usec_to_timeval(LOOK_AGAIN_USEC);

        if (janitor_kill_strays(supervisor->janitor) > 0 &&
            event_base_once(supervisor->base, -1, EV_TIMEOUT, on_look_again, supervisor, &again) == 0)
                return;
        supervisor->control = control_free(supervisor->control);
        int r = workspaces_flush(supervisor->workspaces);

        if (r < 0)
                (void) log_warning_errno(r, "cannot remove old workspaces");
        r = tracking_remove_root(supervisor->tracking);
        if (r < 0)
                (void) log_warning_errno(r, "cannot remove the cgroup tree");
        /* Their paths go: who is started after us (systemctl restart keeps what is stored) makes its own. */
        notify_forget_fd("ipc");
        notify_forget_fd("control");
        folders_remove(&supervisor->options);
        log_event(LOG_EVENT_STOPPED, "stopped");
        event_base_loopexit(supervisor->base, NULL);
}

void orderly_stop_continue(struct supervisor *supervisor)
{
        if (session_count(supervisor->sessions) > 0 || rebuild_is_busy(supervisor->rebuild) ||
            admission_is_busy(supervisor->admission))
                return;
        if (!routers_are_stopping(supervisor->routers))
                routers_stop(supervisor->routers, finish);
}
