#include "supervisor/status.h"

#include "supervisor/routers.h"
#include "supervisor/supervisor.h"

#include <stdio.h>

#define INTERVAL_USEC USEC_PER_SEC
#define WATCHDOG_FRACTION 3

struct status {
        struct supervisor *supervisor;
        struct session_observer observer;
        struct event *timer, *watchdog;
        char told[STATUS_TEXT_SIZE];
};

/* ---- the line --------------------------------------------------------------------------------- */

struct tally {
        unsigned open, starting, ending;
};

static struct tally count(const struct session_table *table)
{
        struct tally tally = { 0 };

        for (const struct session *s = session_next(table, NULL); s; s = session_next(table, s)) {
                if (s->record.kind == KEY_PROBE || s->state == SESSION_DORMANT)
                        continue;
                tally.open++;
                tally.starting += s->state == SESSION_QUEUED || s->state == SESSION_PREPARING ||
                                  s->state == SESSION_STARTING;
                tally.ending += s->state == SESSION_DRAINING || s->state == SESSION_KILLING;
        }
        return tally;
}

static void add_count(char text[static STATUS_TEXT_SIZE], unsigned n, const char *what)
{
        size_t used = strlen(text);

        if (n > 0)
                (void) snprintf(text + used, STATUS_TEXT_SIZE - used, ", %u %s", n, what);
}

void status_text(const struct supervisor *supervisor, char ret[static STATUS_TEXT_SIZE])
{
        struct tally tally = count(supervisor->sessions);
        unsigned connected = routers_count_connected(supervisor->routers);

        (void) snprintf(ret, STATUS_TEXT_SIZE, "%u session%s", tally.open, tally.open == 1 ? "" : "s");
        add_count(ret, tally.starting, "starting");
        add_count(ret, tally.ending, "ending");
        if (!supervisor->is_stopping && connected < supervisor->config->routers)
                add_count(ret, supervisor->config->routers - connected, "of the routers not there");
}

void status_tell_ready(const struct supervisor *supervisor)
{
        char text[STATUS_TEXT_SIZE];

        status_text(supervisor, text);
        notify_ready(text);
}

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct status *status = userdata;
        char text[STATUS_TEXT_SIZE];

        status_text(status->supervisor, text);
        if (streq(text, status->told))
                return;
        (void) STR_COPY(status->told, text);
        notify_status("%s", text);
}

void status_changed(struct status *status)
{
        struct timeval timeout = usec_to_timeval(INTERVAL_USEC);

        if (!event_pending(status->timer, EV_TIMEOUT, NULL))
                event_add(status->timer, &timeout);
}

static void on_change(_unused_ struct session *s, _unused_ enum session_state old, void *userdata)
{
        status_changed(userdata);
}

/* ---- the watchdog ----------------------------------------------------------------------------- */

static void on_watchdog(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct status *status = userdata;

        if (routers_are_well(status->supervisor->routers))
                notify_watchdog();
}

static int watchdog_start(struct status *status)
{
        usec_t usec = notify_watchdog_usec();

        if (usec == 0)
                return 0;
        struct timeval interval = usec_to_timeval(usec / WATCHDOG_FRACTION);

        status->watchdog = event_new(status->supervisor->base, -1, EV_PERSIST, on_watchdog, status);
        /* Late: who comes that far has a loop that got everything else done. */
        if (!status->watchdog || event_priority_set(status->watchdog, LOOP_LATE) < 0 ||
            event_add(status->watchdog, &interval) < 0)
                return -ENOMEM;
        return 0;
}

/* ---- the module ------------------------------------------------------------------------------- */

int status_new(struct supervisor *supervisor, struct status **ret)
{
        _cleanup_(status_freep) struct status *status = calloc(1, sizeof(*status));

        if (!status)
                return -ENOMEM;
        status->supervisor = supervisor;
        status->observer.on_change = on_change;
        status->observer.userdata = status;
        supervisor_observe(supervisor, &status->observer);
        status->timer = event_new(supervisor->base, -1, 0, on_timer, status);
        if (!status->timer)
                return -ENOMEM;
        int r = watchdog_start(status);

        if (r >= 0)
                *ret = TAKE_PTR(status);
        return r;
}

struct status *status_free(struct status *status)
{
        if (!status)
                return NULL;
        supervisor_unobserve(status->supervisor, &status->observer);
        if (status->timer)
                event_free(status->timer);
        if (status->watchdog)
                event_free(status->watchdog);
        free(status);
        return NULL;
}
