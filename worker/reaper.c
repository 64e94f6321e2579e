#include "worker/reaper.h"

#include "common/log.h"
#include "common/process_tree.h"

#include <sys/prctl.h>
#include <sys/wait.h>

enum rung {
        RUNG_NONE,  /* not stopping */
        RUNG_CLOSE,
        RUNG_TERM,
        RUNG_KILL,
        RUNG_DONE,
};

#define KILL_AGAIN_USEC (20 * USEC_PER_MSEC)
#define KILL_GIVE_UP_USEC (3 * USEC_PER_SEC)

struct reaper {
        struct event *sigchld, *timer;
        pid_t leader; /* 0: none, or reaped */
        enum rung rung;
        usec_t rung_usec, give_up_at;
        const struct reaper_ops *ops;
        void *userdata;
};

static void rung_enter(struct reaper *reaper, enum rung rung);

/* Signals every child of this process, zombies included. */
static void children_signal(int signal)
{
        _cleanup_free_ pid_t *children = NULL;
        size_t n = 0;
        int r = process_children(getpid(), &children, &n);

        if (r < 0)
                (void) log_warning_errno(r, "cannot list the processes of the backend");
        for (size_t i = 0; i < n; i++)
                (void) kill(children[i], signal);
}

/* The group's number belongs to it as long as the leader was not reaped. */
static void group_signal(const struct reaper *reaper, int signal)
{
        if (reaper->leader > 0)
                (void) kill(-reaper->leader, signal);
        else
                children_signal(signal);
}

static void finish(struct reaper *reaper, bool is_clean)
{
        if (reaper->rung == RUNG_DONE)
                return;
        reaper->rung = RUNG_DONE;
        event_del(reaper->timer);
        reaper->ops->on_empty(is_clean, reaper->userdata);
}

/* Reaps what is there. True when no child is left. */
static bool reap(struct reaper *reaper)
{
        for (;;) {
                siginfo_t info = { 0 };

                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0)
                        return errno == ECHILD;
                if (info.si_pid == 0)
                        return false;
                if (info.si_pid == reaper->leader) {
                        reaper->leader = 0;
                        reaper->ops->on_exited(info.si_pid, info.si_code, info.si_status, reaper->userdata);
                        /* What the backend left behind gets no second grace for reading its input. */
                        if (reaper->rung == RUNG_CLOSE)
                                rung_enter(reaper, RUNG_TERM);
                }
        }
}

static void on_sigchld(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct reaper *reaper = userdata;

        if (reap(reaper) && reaper->rung != RUNG_NONE)
                finish(reaper, true);
}

static void wait_for(struct reaper *reaper, usec_t usec)
{
        struct timeval wait = usec_to_timeval(usec);

        event_add(reaper->timer, &wait);
}

static void rung_enter(struct reaper *reaper, enum rung rung)
{
        if (rung == RUNG_KILL && reaper->rung != RUNG_KILL)
                reaper->give_up_at = usec_add(now_usec(), KILL_GIVE_UP_USEC);
        reaper->rung = rung;
        switch (rung) {
        case RUNG_CLOSE:
                wait_for(reaper, reaper->rung_usec);
                reaper->ops->on_close_input(reaper->userdata);
                break;
        case RUNG_TERM:
                wait_for(reaper, reaper->rung_usec);
                group_signal(reaper, SIGTERM);
                break;
        case RUNG_KILL:
                wait_for(reaper, KILL_AGAIN_USEC);
                group_signal(reaper, SIGKILL);
                children_signal(SIGKILL);
                break;
        case RUNG_NONE:
        case RUNG_DONE:
                break;
        }
}

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct reaper *reaper = userdata;

        if (reap(reaper))
                finish(reaper, true);
        else if (reaper->rung == RUNG_CLOSE)
                rung_enter(reaper, RUNG_TERM);
        else if (reaper->rung == RUNG_KILL && usec_until(reaper->give_up_at) == 0)
                finish(reaper, false);
        else if (reaper->rung != RUNG_DONE)
                rung_enter(reaper, RUNG_KILL);
}

int reaper_new(struct event_base *base, const struct reaper_ops *ops, void *userdata, struct reaper **ret)
{
        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return -errno;
        struct reaper *reaper = calloc(1, sizeof(*reaper));

        if (!reaper)
                return -ENOMEM;
        reaper->ops = ops;
        reaper->userdata = userdata;
        reaper->sigchld = evsignal_new(base, SIGCHLD, on_sigchld, reaper);
        reaper->timer = evtimer_new(base, on_timer, reaper);
        if (!reaper->sigchld || !reaper->timer || event_add(reaper->sigchld, NULL) < 0) {
                reaper_free(reaper);
                return -ENOMEM;
        }
        *ret = reaper;
        return 0;
}

struct reaper *reaper_free(struct reaper *reaper)
{
        if (!reaper)
                return NULL;
        if (reaper->sigchld)
                event_free(reaper->sigchld);
        if (reaper->timer)
                event_free(reaper->timer);
        free(reaper);
        return NULL;
}

void reaper_watch(struct reaper *reaper, pid_t leader)
{
        reaper->leader = leader;
}

void reaper_stop(struct reaper *reaper, usec_t rung_usec)
{
        if (reaper->rung != RUNG_NONE) {
                if (rung_usec < reaper->rung_usec && (reaper->rung == RUNG_CLOSE || reaper->rung == RUNG_TERM))
                        wait_for(reaper, rung_usec);
                reaper->rung_usec = MIN_OF(reaper->rung_usec, rung_usec);
                return;
        }
        reaper->rung_usec = rung_usec;
        rung_enter(reaper, reaper->leader > 0 ? RUNG_CLOSE : RUNG_TERM);
        if (reaper->leader == 0)
                event_active(reaper->sigchld, EV_SIGNAL, 1); /* perhaps no child is left at all */
}
