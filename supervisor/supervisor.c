#include "supervisor/supervisor.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/varlink_server.h"
#include "supervisor/admission.h"
#include "supervisor/control.h"
#include "supervisor/era.h"
#include "supervisor/folders.h"
#include "supervisor/former.h"
#include "supervisor/janitor.h"
#include "supervisor/lifecycle.h"
#include "supervisor/log_event.h"
#include "supervisor/orderly_stop.h"
#include "supervisor/peers.h"
#include "supervisor/rebuild.h"
#include "supervisor/reload.h"
#include "supervisor/resolve.h"
#include "supervisor/routers.h"
#include "supervisor/session_limits.h"
#include "supervisor/status.h"
#include "supervisor/upgrade.h"
#include "supervisor/users.h"

#include <signal.h>
#include <sys/prctl.h>

/* ---- observers -------------------------------------------------------------------------------- */

void supervisor_observe(struct supervisor *supervisor, struct session_observer *observer)
{
        TAILQ_INSERT_TAIL(&supervisor->observers, observer, entry);
}

void supervisor_unobserve(struct supervisor *supervisor, struct session_observer *observer)
{
        TAILQ_REMOVE(&supervisor->observers, observer, entry);
}

/* What was read beside the file that everybody knows of. */
void supervisor_log_drop_ins(const struct supervisor *supervisor)
{
        for (size_t i = 1; supervisor->config->files[i]; i++)
                log_info("read %s, too", supervisor->config->files[i]);
}

/* ---- signals and events ----------------------------------------------------------------------- */

static void on_stop_signal(_unused_ evutil_socket_t signal, _unused_ short what, void *userdata)
{
        supervisor_stop(userdata);
}

static void on_reloaded(_unused_ const struct reload_result *result, _unused_ void *userdata)
{
        /* It is in the log, and nobody waits for more. */
}

static void on_reload_signal(_unused_ evutil_socket_t signal, _unused_ short what, void *userdata)
{
        struct supervisor *supervisor = userdata;
        struct reload_request *request;

        (void) reload_begin(supervisor->reload, on_reloaded, NULL, &request);
}

static void on_after_end(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct supervisor *supervisor = userdata;

        session_table_trim(supervisor->sessions, supervisor->config->tombstones_max);
        if (supervisor->is_stopping)
                orderly_stop_continue(supervisor);
}

static void on_tracked_empty(struct tracked *tracked, _unused_ void *userdata)
{
        struct tracked_owner *owner = tracked_userdata(tracked);

        owner->on_empty(owner);
}

static void on_other_child(pid_t pid, void *userdata)
{
        workspaces_on_child_exit(((struct supervisor *) userdata)->workspaces, pid);
}

static void on_routers_up(struct supervisor *supervisor)
{
        /* Ready and ending at once would be asked to end a second time, which kills. */
        if (supervisor->is_stopping)
                return;
        supervisor_log_drop_ins(supervisor);
        log_event(LOG_EVENT_READY, "ready: %zu server%s, %u router%s", supervisor->config->n_servers,
                 supervisor->config->n_servers == 1 ? "" : "s", supervisor->config->routers,
                 supervisor->config->routers == 1 ? "" : "s");
        status_tell_ready(supervisor);
}

static int signals_make(struct supervisor *supervisor)
{
        const struct {
                int signal;
                event_callback_fn callback;
        } signals[] = {
                { SIGTERM, on_stop_signal },
                { SIGINT, on_stop_signal },
                { SIGHUP, on_reload_signal },
        };

        (void) signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                supervisor->signals[i] = evsignal_new(supervisor->base, signals[i].signal, signals[i].callback,
                                                      supervisor);
                if (!supervisor->signals[i] || event_add(supervisor->signals[i], NULL) < 0)
                        return -ENOMEM;
        }
        upgrade_release_signals(); /* whom we follow has left them to us */
        return 0;
}

/* ---- making it -------------------------------------------------------------------------------- */

static int loop_make(struct supervisor *supervisor)
{
        supervisor->base = event_base_new();
        if (!supervisor->base || event_base_priority_init(supervisor->base, LOOP__MAX) < 0)
                return -ENOMEM;
        supervisor->after_end = event_new(supervisor->base, -1, 0, on_after_end, supervisor);
        if (!supervisor->after_end)
                return -ENOMEM;
        return signals_make(supervisor);
}

static int sockets_take(struct supervisor *supervisor)
{
        int r = listen_fds_take(&supervisor->listen);

        if (r < 0)
                return log_errno(r, "cannot use the sockets that were handed over");
        if (supervisor->listen.n_http == 0) {
                log_error("no TCP listener was handed over (LISTEN_FDS): start this from systemd or with `envmux run`");
                return -ENOTCONN;
        }
        return 0;
}

static int control_open(struct supervisor *supervisor)
{
        bool is_stored = supervisor->listen.control >= 0;

        supervisor->control_fd = is_stored ? TAKE_FD(supervisor->listen.control)
                                           : varlink_listen(supervisor->options.control);
        if (supervisor->control_fd < 0)
                return log_errno(supervisor->control_fd, "cannot listen on %s", supervisor->options.control);
        if (!is_stored)
                (void) notify_store_fd("control", supervisor->control_fd);
        return control_new(supervisor, supervisor->control_fd, &supervisor->control);
}

/* What sessions live on. The order of the observers is the order in which they hear of a move: routers
 * know a session before the question that made it is answered. */
static int sessions_make(struct supervisor *supervisor)
{
        const struct supervisor_options *options = &supervisor->options;

        supervisor->sessions = session_table_new();
        if (!supervisor->sessions)
                return -ENOMEM;
        int r = children_new(supervisor->base, on_other_child, supervisor, &supervisor->children);

        if (r >= 0)
                r = tracking_new(supervisor->base, options->tracking, options->cgroup_root, options->runtime, on_tracked_empty,
                                 supervisor, &supervisor->tracking);
        if (r >= 0)
                r = workspaces_new(supervisor->base, options->state, &supervisor->workspaces);
        if (r >= 0)
                r = users_new(supervisor, &supervisor->users);
        if (r >= 0)
                r = admission_new(supervisor, &supervisor->admission);
        if (r >= 0)
                r = eras_new(supervisor, &supervisor->eras);
        if (r >= 0)
                r = routers_new(supervisor, on_routers_up, &supervisor->routers);
        if (r >= 0)
                r = resolver_new(supervisor, &supervisor->resolver);
        return r;
}

static int parts_make(struct supervisor *supervisor)
{
        int r = sessions_make(supervisor);

        if (r >= 0)
                r = janitor_new(supervisor, &supervisor->janitor);
        if (r >= 0)
                r = status_new(supervisor, &supervisor->status);
        if (r >= 0)
                r = reload_new(supervisor, &supervisor->reload);
        if (r >= 0)
                r = peers_new(supervisor, supervisor->listen.ipc, &supervisor->peers);
        if (r < 0)
                return log_errno(r, "cannot start");
        if (!tracking_has_cgroups(supervisor->tracking))
                log_notice("sessions are tracked by process tree%s",
                           supervisor->options.tracking == TRACKING_AUTO ? ": no writable cgroup v2 tree" : "");
        r = control_open(supervisor);
        /* Last: adopted sessions take what is left of the file descriptors, not what we cannot be without. */
        if (r >= 0)
                r = rebuild_new(supervisor, &supervisor->rebuild);
        if (r >= 0)
                session_limits_reconfigure(supervisor);
        return r < 0 ? log_errno(r, "cannot start") : 0;
}

int supervisor_new(const struct supervisor_options *options, struct config *config_consume, struct supervisor **ret)
{
        _cleanup_(supervisor_freep) struct supervisor *supervisor = calloc(1, sizeof(*supervisor));

        if (!supervisor) {
                config_free(config_consume);
                return -ENOMEM;
        }
        TAILQ_INIT(&supervisor->observers);
        supervisor->options = *options;
        supervisor->config = config_consume;
        supervisor->sockets_fd = supervisor->records_fd = supervisor->control_fd = -1;
        supervisor->listen.ipc = supervisor->listen.control = -1;
        supervisor->started_realtime_usec = now_realtime_usec();
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return log_errno(-errno, "cannot become a subreaper");
        int r = folders_open(options, &supervisor->sockets_fd, &supervisor->records_fd);

        if (r >= 0)
                r = loop_make(supervisor);
        if (r >= 0)
                r = sockets_take(supervisor);
        if (r >= 0)
                r = parts_make(supervisor);
        if (r < 0)
                return r;
        if (!config_consume->is_former)
                former_keep(options, config_consume);
        *ret = TAKE_PTR(supervisor);
        return 0;
}

struct supervisor *supervisor_free(struct supervisor *supervisor)
{
        if (!supervisor)
                return NULL;
        control_free(supervisor->control);
        reload_free(supervisor->reload);
        status_free(supervisor->status);
        peers_free(supervisor->peers);
        rebuild_free(supervisor->rebuild);
        janitor_free(supervisor->janitor);
        session_table_free(supervisor->sessions);
        resolver_free(supervisor->resolver);
        routers_free(supervisor->routers);
        eras_free(supervisor->eras);
        admission_free(supervisor->admission);
        users_free(supervisor->users);
        workspaces_free(supervisor->workspaces);
        tracking_free(supervisor->tracking);
        children_free(supervisor->children);
        struct event *const events[] = {
                supervisor->signals[0], supervisor->signals[1], supervisor->signals[2],
                supervisor->after_end, supervisor->stop_deadline,
        };

        for (size_t i = 0; i < ELEMENTSOF(events); i++)
                if (events[i])
                        event_free(events[i]);
        listen_fds_done(&supervisor->listen);
        fd_close(supervisor->control_fd);
        fd_close(supervisor->sockets_fd);
        fd_close(supervisor->records_fd);
        config_free(supervisor->config);
        if (supervisor->base)
                event_base_free(supervisor->base);
        free(supervisor);
        return NULL;
}

int supervisor_run(struct supervisor *supervisor)
{
        int r = event_base_dispatch(supervisor->base);

        if (r < 0)
                log_error("the event loop failed");
        return r < 0 ? EXIT_FAILURE : supervisor->exit_code;
}
