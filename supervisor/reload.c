#include "supervisor/reload.h"

#include "common/log.h"
#include "supervisor/admission.h"
#include "supervisor/era.h"
#include "supervisor/former.h"
#include "supervisor/lifecycle.h"
#include "supervisor/log_event.h"
#include "supervisor/routers.h"
#include "supervisor/session_limits.h"
#include "supervisor/status.h"
#include "supervisor/supervisor.h"
#include "supervisor/upgrade.h"
#include "supervisor/users.h"

#include <stdio.h>

#define ROUTERS_USEC (2 * USEC_PER_SEC) /* for routers to read a new configuration */

struct reload_request {
        STAILQ_ENTRY(reload_request) entry;
        reload_done_fn on_done; /* NULL: forgotten */
        void *userdata;
};

struct reload {
        struct supervisor *supervisor;
        STAILQ_HEAD(, reload_request) requests; /* the first one is being done while check or is_telling is there */
        struct upgrade_check *check;
        struct config_report report;            /* of what is being done */
        struct event *exec_event, *late_event;
        bool is_telling;                        /* the configuration is in force but for routers that have not read it */
        bool is_restarting;
};

/* ---- a configuration -------------------------------------------------------------------------- */

/* Sessions of servers that are gone drain; all others stay as they are. */
static void drain_removed(struct supervisor *supervisor)
{
        struct session *s = session_next(supervisor->sessions, NULL);

        while (s) {
                struct session *next = session_next(supervisor->sessions, s);

                if (!config_find(supervisor->config, s->record.server))
                        lifecycle_stop(s, REASON_stopping, NULL, s->drain_usec);
                s = next;
        }
}

static void apply(struct supervisor *supervisor, struct config *config_consume)
{
        config_free(supervisor->config);
        supervisor->config = config_consume;
        former_keep(&supervisor->options, config_consume);
        drain_removed(supervisor);
        session_limits_reconfigure(supervisor);
        eras_forget(supervisor->eras); /* a newer server may have been installed */
        admission_reconsider(supervisor->admission);
        routers_reconfigure(supervisor->routers);
        users_warn(supervisor->users);
        supervisor_log_drop_ins(supervisor);
        log_event(LOG_EVENT_RELOADED, "configuration read again: %zu servers", config_consume->n_servers);
}

static void log_report(const struct reload *reload)
{
        const struct config_report *report = &reload->report;

        for (size_t i = 0; i < report->n_notes; i++) {
                const struct config_note *note = &report->notes[i];

                log_line(note->is_mistake ? LOG_ERR : LOG_NOTICE, "%s: %s%s%s", note->file, note->json_path,
                         *note->json_path ? ": " : "", note->text);
        }
}

/* ---- one request after the other -------------------------------------------------------------- */

static void next(struct reload *reload);

static void answer(struct reload_request *request, const struct reload_result *result)
{
        if (request->on_done)
                request->on_done(result, request->userdata);
        free(request);
}

static void finish(struct reload *reload, int error, const char *why)
{
        struct reload_request *request = STAILQ_FIRST(&reload->requests);
        const struct reload_result result = {
                .error = error, .why = why, .report = &reload->report, .is_restarting = reload->is_restarting,
        };

        STAILQ_REMOVE_HEAD(&reload->requests, entry);
        answer(request, &result);
        config_report_done(&reload->report);
}

static void refuse(struct reload *reload, int error, const char *why)
{
        if (why)
                log_event(LOG_EVENT_RELOAD_REFUSED, "reload refused, everything stays as it was: %s", why);
        else
                log_event(LOG_EVENT_RELOAD_REFUSED, "%s holds mistakes: everything stays as it was", reload->supervisor->options.config);
        status_tell_ready(reload->supervisor);
        finish(reload, error, why);
}

/* The new supervisor reads the configuration itself, which is what all who wait want to see in force. It comes
 * after everything that is due, a signal that was caught already included. */
static void begin_restart(struct reload *reload)
{
        reload->is_restarting = true;
        upgrade_hold_signals();
        while (!STAILQ_EMPTY(&reload->requests))
                finish(reload, 0, NULL);
        event_active(reload->exec_event, EV_TIMEOUT, 0);
}

static void on_exec(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct reload *reload = userdata;

        if (!reload->supervisor->is_stopping)
                upgrade_exec(reload->supervisor);
        reload->is_restarting = false;
        upgrade_release_signals();
}

static void on_checked(const char *why_not, void *userdata)
{
        struct reload *reload = userdata;

        reload->check = upgrade_check_free(reload->check);
        if (reload->supervisor->is_stopping)
                finish(reload, -ESHUTDOWN, NULL);
        else if (why_not)
                refuse(reload, -ENOEXEC, why_not);
        else {
                begin_restart(reload);
                return;
        }
        next(reload);
}

/* Whoever is told that a configuration is in force may ask a router for what is new in it at once. True when it
 * is done, false when tell_done follows. */
static bool tell(struct reload *reload)
{
        struct timeval timeout = usec_to_timeval(ROUTERS_USEC);

        if (!routers_are_heard(reload->supervisor->routers) && event_add(reload->late_event, &timeout) == 0) {
                reload->is_telling = true;
                return false;
        }
        status_tell_ready(reload->supervisor);
        finish(reload, 0, NULL);
        return true;
}

static void tell_done(struct reload *reload)
{
        event_del(reload->late_event);
        reload->is_telling = false;
        if (!reload->supervisor->is_stopping)
                status_tell_ready(reload->supervisor);
        finish(reload, 0, NULL);
        next(reload);
}

void reload_on_router_heard(struct reload *reload)
{
        if (reload && reload->is_telling && routers_are_heard(reload->supervisor->routers))
                tell_done(reload);
}

/* A router that hangs gets its dump when it goes on, or another one takes its place. */
static void on_late(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        tell_done(userdata);
}

/* True when it is done, false when on_checked or tell_done follows. */
static bool perform(struct reload *reload)
{
        struct supervisor *supervisor = reload->supervisor;
        struct config *config;

        if (supervisor->is_stopping) {
                finish(reload, -ESHUTDOWN, NULL);
                return true;
        }
        notify_reloading();
        int r = config_load(supervisor->options.config, supervisor->options.drop_ins, &config, &reload->report);

        if (r < 0) {
                log_report(reload);
                refuse(reload, r, reload->report.n_notes > 0 ? NULL : strerror(-r));
                return true;
        }
        if (!upgrade_is_due(supervisor)) {
                apply(supervisor, config);
                log_report(reload);
                return tell(reload);
        }
        config_free(config);
        r = upgrade_check_new(supervisor, on_checked, reload, &reload->check);
        if (r < 0) {
                char why[4096 + 64];

                (void) snprintf(why, sizeof(why), "cannot start the new %s: %s", supervisor->options.exe, strerror(-r));
                refuse(reload, r, why);
        }
        return r < 0;
}

static void next(struct reload *reload)
{
        while (!STAILQ_EMPTY(&reload->requests) && perform(reload))
                ;
}

int reload_begin(struct reload *reload, reload_done_fn on_done, void *userdata, struct reload_request **ret)
{
        struct reload_request *request = calloc(1, sizeof(*request));

        if (!request)
                return -ENOMEM;
        request->on_done = on_done;
        request->userdata = userdata;
        *ret = NULL;
        STAILQ_INSERT_TAIL(&reload->requests, request, entry);
        if (reload->is_restarting)
                finish(reload, 0, NULL);
        else if (!reload->check && !reload->is_telling && perform(reload))
                next(reload);
        else
                *ret = request;
        return 0;
}

void reload_forget(struct reload_request *request)
{
        request->on_done = NULL;
}

/* ---- the module ------------------------------------------------------------------------------- */

int reload_new(struct supervisor *supervisor, struct reload **ret)
{
        _cleanup_(reload_freep) struct reload *reload = calloc(1, sizeof(*reload));

        if (!reload)
                return -ENOMEM;
        reload->supervisor = supervisor;
        STAILQ_INIT(&reload->requests);
        reload->exec_event = event_new(supervisor->base, -1, 0, on_exec, reload);
        reload->late_event = event_new(supervisor->base, -1, 0, on_late, reload);
        if (!reload->exec_event || !reload->late_event || event_priority_set(reload->exec_event, LOOP_LATE) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(reload);
        return 0;
}

struct reload *reload_free(struct reload *reload)
{
        if (!reload)
                return NULL;
        upgrade_check_free(reload->check);
        for (struct reload_request *request; (request = STAILQ_FIRST(&reload->requests));) {
                STAILQ_REMOVE_HEAD(&reload->requests, entry);
                free(request);
        }
        if (reload->exec_event)
                event_free(reload->exec_event);
        if (reload->late_event)
                event_free(reload->late_event);
        config_report_done(&reload->report);
        free(reload);
        return NULL;
}
