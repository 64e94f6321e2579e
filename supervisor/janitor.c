#include "supervisor/janitor.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/log_event.h"
#include "supervisor/rebuild.h"
#include "supervisor/routers.h"
#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <stdio.h>

#define LOOK_USEC (5 * USEC_PER_MSEC)
#define AGAIN_USEC (10 * USEC_PER_MSEC) /* what was killed takes a moment to leave its children to us */
#define ROUND_USEC (10 * USEC_PER_SEC)

struct janitor {
        struct supervisor *supervisor;
        struct event *timer;
        usec_t look_usec, clean_usec; /* the last look, and the last that found nothing */
        pid_t watch_pid; /* the watch of `envmux run`, our parent; 0: something else started us */
};

/* The watch is a subreaper like us, and nothing but us and what we started descends from it. */
static pid_t find_watch(void)
{
        char path[64];
        _cleanup_free_ char *name = NULL;
        pid_t parent = getppid();

        (void) snprintf(path, sizeof(path), "/proc/%d/comm", (int) parent);
        if (parent <= 1 || !getenv("NOTIFY_SOCKET") || fd_read_file_at(AT_FDCWD, path, 64, &name, NULL) < 0)
                return 0;
        return streq(name, "envmux\n") ? parent : 0;
}

static bool is_known(pid_t pid, void *userdata)
{
        const struct supervisor *supervisor = userdata;

        if (children_know(supervisor->children, pid) || workspaces_remover_pid(supervisor->workspaces) == pid ||
            routers_know_pid(supervisor->routers, pid))
                return true;
        for (struct session *s = session_next(supervisor->sessions, NULL); s; s = session_next(supervisor->sessions, s))
                if (s->worker_pid == pid)
                        return true;
        return false;
}

unsigned janitor_kill_strays(struct janitor *janitor)
{
        struct supervisor *supervisor = janitor->supervisor;
        usec_t now = now_usec();

        if (!rebuild_is_settled(supervisor->rebuild))
                return 0; /* it may belong to a session still to come */
        unsigned n = tracking_kill_strays(janitor->watch_pid, is_known, supervisor);

        janitor->look_usec = now;
        if (n == 0)
                janitor->clean_usec = now;
        supervisor->counters.strays_killed += n;
        return n;
}

bool janitor_is_clean(struct janitor *janitor, usec_t since)
{
        if (janitor->clean_usec < since && usec_until(usec_add(janitor->look_usec, LOOK_USEC)) == 0)
                (void) janitor_kill_strays(janitor);
        return janitor->clean_usec >= since;
}

static void timer_set(struct janitor *janitor, usec_t usec)
{
        struct timeval timeout = usec_to_timeval(usec);

        event_add(janitor->timer, &timeout);
}

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct janitor *janitor = userdata;
        unsigned n = janitor_kill_strays(janitor);

        if (n > 0)
                log_event(LOG_EVENT_STRAY_KILLED, "killed %u processes that belong to no session", n);
        timer_set(janitor, n > 0 ? AGAIN_USEC : ROUND_USEC);
}

int janitor_new(struct supervisor *supervisor, struct janitor **ret)
{
        _cleanup_(janitor_freep) struct janitor *janitor = calloc(1, sizeof(*janitor));

        if (!janitor)
                return -ENOMEM;
        janitor->supervisor = supervisor;
        janitor->watch_pid = find_watch();
        janitor->timer = event_new(supervisor->base, -1, 0, on_timer, janitor);
        if (!janitor->timer)
                return -ENOMEM;
        timer_set(janitor, ROUND_USEC);
        *ret = TAKE_PTR(janitor);
        return 0;
}

struct janitor *janitor_free(struct janitor *janitor)
{
        if (!janitor)
                return NULL;
        if (janitor->timer)
                event_free(janitor->timer);
        free(janitor);
        return NULL;
}

void janitor_wake(struct janitor *janitor)
{
        timer_set(janitor, 0);
}

bool janitor_inherits(const struct janitor *janitor, pid_t parent)
{
        return parent == getpid() || (parent > 0 && parent == janitor->watch_pid && getppid() == parent);
}
