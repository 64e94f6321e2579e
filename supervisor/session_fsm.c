#include "supervisor/session_fsm.h"

#include "common/log.h"
#include "supervisor/lifecycle.h"
#include "supervisor/prepare.h"
#include "supervisor/supervisor.h"

#define ADOPT_USEC (5 * USEC_PER_SEC)
#define KILL_USEC (5 * USEC_PER_SEC)
#define DORMANT_USEC (365 * 24 * USEC_PER_HOUR) /* where no lifetime says less */
#define MARGIN_USEC (5 * USEC_PER_SEC) /* the worker keeps its own deadlines: ours come only after them */

#define GO(state, act) { .to = SESSION_##state, .action = ACTION_##act }
#define IGNORE { .is_ignored = true }

static const struct session_transition table[SESSION_STATE__MAX][SESSION_EVENT__MAX] = {
        [SESSION_QUEUED] = {
                [EVENT_PREPARE]      = GO(PREPARING, NONE),
                [EVENT_LAUNCH]       = GO(STARTING, LAUNCH),
                [EVENT_START_FAILED] = GO(FINAL, BURY),
                [EVENT_HELLO]        = IGNORE,
                [EVENT_READY]        = IGNORE,
                [EVENT_BUSY]         = IGNORE,
                [EVENT_QUIET]        = IGNORE,
                [EVENT_STOP]         = GO(FINAL, BURY),
                [EVENT_KILL]         = GO(FINAL, BURY),
                [EVENT_GONE]         = IGNORE,
                [EVENT_WORKER_LOST]  = IGNORE,
                [EVENT_DEADLINE]     = GO(FINAL, BURY),
                [EVENT_EMPTY]        = IGNORE,
        },
        /* The prepare command belongs to the definition and goes on without the session. */
        [SESSION_PREPARING] = {
                [EVENT_PREPARE]      = IGNORE,
                [EVENT_LAUNCH]       = GO(STARTING, LAUNCH),
                [EVENT_START_FAILED] = GO(FINAL, BURY),
                [EVENT_HELLO]        = IGNORE,
                [EVENT_READY]        = IGNORE,
                [EVENT_BUSY]         = IGNORE,
                [EVENT_QUIET]        = IGNORE,
                [EVENT_STOP]         = GO(FINAL, BURY),
                [EVENT_KILL]         = GO(FINAL, BURY),
                [EVENT_GONE]         = IGNORE,
                [EVENT_WORKER_LOST]  = IGNORE,
                [EVENT_DEADLINE]     = GO(FINAL, BURY),
                [EVENT_EMPTY]        = IGNORE,
        },
        /* EMPTY is ignored while a worker may live: what it still said is read first, then its
         * connection ends, and that is WORKER_LOST. */
        [SESSION_STARTING] = {
                [EVENT_PREPARE]      = IGNORE,
                [EVENT_LAUNCH]       = IGNORE,
                [EVENT_START_FAILED] = GO(KILLING, KILL),
                [EVENT_HELLO]        = IGNORE,
                [EVENT_READY]        = GO(READY, NONE),
                [EVENT_BUSY]         = IGNORE,
                [EVENT_QUIET]        = IGNORE,
                [EVENT_STOP]         = GO(DRAINING, SEND_STOP),
                [EVENT_KILL]         = GO(KILLING, KILL),
                [EVENT_GONE]         = GO(DRAINING, NONE),
                [EVENT_WORKER_LOST]  = GO(KILLING, KILL),
                [EVENT_DEADLINE]     = GO(KILLING, KILL),
                [EVENT_EMPTY]        = IGNORE,
        },
        [SESSION_READY] = {
                [EVENT_PREPARE]      = IGNORE,
                [EVENT_LAUNCH]       = IGNORE,
                [EVENT_START_FAILED] = IGNORE,
                [EVENT_HELLO]        = IGNORE,
                [EVENT_READY]        = IGNORE,
                [EVENT_BUSY]         = IGNORE,
                [EVENT_QUIET]        = GO(IDLE, NONE),
                [EVENT_STOP]         = GO(DRAINING, SEND_STOP),
                [EVENT_KILL]         = GO(KILLING, KILL),
                [EVENT_GONE]         = GO(DRAINING, NONE),
                [EVENT_WORKER_LOST]  = GO(KILLING, KILL),
                [EVENT_DEADLINE]     = IGNORE,
                [EVENT_EMPTY]        = IGNORE,
        },
        [SESSION_IDLE] = {
                [EVENT_PREPARE]      = IGNORE,
                [EVENT_LAUNCH]       = IGNORE,
                [EVENT_START_FAILED] = IGNORE,
                [EVENT_HELLO]        = IGNORE,
                [EVENT_READY]        = IGNORE,
                [EVENT_BUSY]         = GO(READY, NONE),
                [EVENT_QUIET]        = IGNORE,
                [EVENT_STOP]         = GO(DRAINING, SEND_STOP),
                [EVENT_KILL]         = GO(KILLING, KILL),
                [EVENT_GONE]         = GO(DRAINING, NONE),
                [EVENT_WORKER_LOST]  = GO(KILLING, KILL),
                [EVENT_DEADLINE]     = IGNORE,
                [EVENT_EMPTY]        = IGNORE,
        },
        [SESSION_ADOPTING] = {
                [EVENT_PREPARE]      = IGNORE,
                [EVENT_LAUNCH]       = IGNORE,
                [EVENT_START_FAILED] = IGNORE,
                [EVENT_HELLO]        = GO(STARTING, NONE),
                [EVENT_READY]        = GO(READY, NONE),
                [EVENT_BUSY]         = IGNORE,
                [EVENT_QUIET]        = IGNORE,
                [EVENT_STOP]         = GO(DRAINING, SEND_STOP),
                [EVENT_KILL]         = GO(KILLING, KILL),
                [EVENT_GONE]         = GO(DRAINING, NONE),
                [EVENT_WORKER_LOST]  = GO(KILLING, KILL),
                [EVENT_DEADLINE]     = GO(KILLING, KILL),
                [EVENT_EMPTY]        = GO(KILLING, KILL),
        },
        /* A worker that says HELLO only now has not heard STOP; a second one leaves less time. */
        [SESSION_DRAINING] = {
                [EVENT_PREPARE]      = IGNORE,
                [EVENT_LAUNCH]       = IGNORE,
                [EVENT_START_FAILED] = IGNORE,
                [EVENT_HELLO]        = GO(DRAINING, SEND_STOP),
                [EVENT_READY]        = IGNORE,
                [EVENT_BUSY]         = IGNORE,
                [EVENT_QUIET]        = IGNORE,
                [EVENT_STOP]         = GO(DRAINING, SEND_STOP),
                [EVENT_KILL]         = GO(KILLING, KILL),
                [EVENT_GONE]         = IGNORE,
                [EVENT_WORKER_LOST]  = GO(KILLING, KILL),
                [EVENT_DEADLINE]     = GO(KILLING, KILL),
                [EVENT_EMPTY]        = IGNORE,
        },
        [SESSION_KILLING] = {
                [EVENT_PREPARE]      = IGNORE,
                [EVENT_LAUNCH]       = IGNORE,
                [EVENT_START_FAILED] = IGNORE,
                [EVENT_HELLO]        = IGNORE,
                [EVENT_READY]        = IGNORE,
                [EVENT_BUSY]         = IGNORE,
                [EVENT_QUIET]        = IGNORE,
                [EVENT_STOP]         = IGNORE,
                [EVENT_KILL]         = IGNORE,
                [EVENT_GONE]         = IGNORE,
                [EVENT_WORKER_LOST]  = IGNORE,
                [EVENT_DEADLINE]     = GO(KILLING, KILL_AGAIN),
                [EVENT_EMPTY]        = GO(FINAL, BURY),
        },
        [SESSION_DORMANT] = {
                [EVENT_PREPARE]      = IGNORE,
                [EVENT_LAUNCH]       = IGNORE,
                [EVENT_START_FAILED] = IGNORE,
                [EVENT_HELLO]        = IGNORE,
                [EVENT_READY]        = IGNORE,
                [EVENT_BUSY]         = IGNORE,
                [EVENT_QUIET]        = IGNORE,
                [EVENT_STOP]         = GO(FINAL, BURY),
                [EVENT_KILL]         = GO(FINAL, BURY),
                [EVENT_GONE]         = IGNORE,
                [EVENT_WORKER_LOST]  = IGNORE,
                [EVENT_DEADLINE]     = GO(FINAL, BURY),
                [EVENT_EMPTY]        = IGNORE,
        },
};

/* What a session that outlives its state's deadline died of; REASON__MAX: it was ending already. */
static const struct {
        const char *name, *active;
        enum reason late;
} states[SESSION_STATE__MAX] = {
        [SESSION_QUEUED]    = { "queued",    "activating",   REASON_capacity },
        [SESSION_PREPARING] = { "preparing", "activating",   REASON_start_timeout },
        [SESSION_STARTING]  = { "starting",  "activating",   REASON_start_timeout },
        [SESSION_READY]     = { "ready",     "active",       REASON__MAX },
        [SESSION_IDLE]      = { "idle",      "active",       REASON__MAX },
        [SESSION_ADOPTING]  = { "adopting",  "activating",   REASON_worker_lost },
        [SESSION_DRAINING]  = { "draining",  "deactivating", REASON__MAX },
        [SESSION_KILLING]   = { "killing",   "deactivating", REASON__MAX },
        [SESSION_DORMANT]   = { "dormant",   "inactive",     REASON__MAX },
        [SESSION_STOPPED]   = { "stopped",   "inactive",     REASON__MAX },
        [SESSION_FAILED]    = { "failed",    "failed",       REASON__MAX },
};

const struct session_transition *session_fsm_find(enum session_state state, enum session_event event)
{
        static const struct session_transition over = IGNORE;

        return session_state_is_final(state) ? &over : &table[state][event];
}

static void note_reason(struct session *s, enum session_event event)
{
        if (event == EVENT_DEADLINE && states[s->state].late != REASON__MAX)
                session_set_end(s, true, states[s->state].late, NULL, 0);
        if (event == EVENT_WORKER_LOST || (event == EVENT_EMPTY && s->state == SESSION_ADOPTING))
                session_set_end(s, true, REASON_worker_lost, NULL, 0);
}

static enum session_state final_of(const struct session *s)
{
        if (s->record.revive && s->state != SESSION_DORMANT)
                return SESSION_DORMANT;
        return s->is_failed ? SESSION_FAILED : SESSION_STOPPED;
}

void session_dispatch(struct session *s, enum session_event event)
{
        const struct session_transition *cell = session_fsm_find(s->state, event);

        if (cell->is_ignored) {
                log_debug("session %s: %s says nothing new in %s", s->record.id, session_event_to_string(event),
                          session_state_to_string(s->state));
                return;
        }
        note_reason(s, event);
        enum session_state to = cell->to;

        if (to == SESSION_FINAL)
                to = final_of(s);
        session_set_state(s, to);
        if (cell->action != ACTION_NONE)
                lifecycle_run(s, cell->action);
}

void session_extend(struct session *s)
{
        usec_t usec = session_state_deadline_usec(s, s->state);

        event_del(s->deadline);
        if (usec != USEC_INFINITY) {
                struct timeval timeout = usec_to_timeval(usec);

                event_add(s->deadline, &timeout);
        }
}

void session_set_state(struct session *s, enum session_state state)
{
        enum session_state old = s->state;

        s->state = state;
        s->since_usec = now_usec();
        s->since_realtime_usec = now_realtime_usec();
        session_extend(s);
        log_debug("session %s (%s %s): %s -> %s", s->record.id, s->record.server, s->record.key,
                  session_state_to_string(old), session_state_to_string(state));
        session_notify(s, old);
}

void session_notify(struct session *s, enum session_state old)
{
        struct session_observer *observer = TAILQ_FIRST(&s->supervisor->observers);

        while (observer) {
                struct session_observer *next = TAILQ_NEXT(observer, entry);

                observer->on_change(s, old, observer->userdata);
                observer = next;
        }
}

/* Its lifetime again, from when it became dormant; a supervisor may have come since. */
static usec_t dormant_usec(const struct session *s)
{
        usec_t now = now_realtime_usec(), since = s->record.dormant_usec > 0 ? s->record.dormant_usec : now;
        usec_t end = usec_add(since, MIN_OF(s->record.lifetime_usec, (usec_t) DORMANT_USEC));

        return end > now ? end - now : 0;
}

usec_t session_state_deadline_usec(const struct session *s, enum session_state state)
{
        switch (state) {
        case SESSION_QUEUED:
                return s->supervisor->config->queue_usec;
        case SESSION_PREPARING:
                return PREPARE_USEC + MARGIN_USEC;
        case SESSION_STARTING:
                return usec_add(s->start_usec, MARGIN_USEC);
        case SESSION_ADOPTING:
                return ADOPT_USEC;
        case SESSION_DRAINING:
                return usec_add(usec_add(s->drain_until_usec ? usec_until(s->drain_until_usec) : s->stop_drain_usec,
                                         2 * s->rung_usec), MARGIN_USEC);
        case SESSION_KILLING:
                return KILL_USEC;
        case SESSION_DORMANT:
                return dormant_usec(s);
        case SESSION_READY:
        case SESSION_IDLE:
        case SESSION_STOPPED:
        case SESSION_FAILED:
        case SESSION_STATE__MAX:
                break;
        }
        return USEC_INFINITY;
}

const char *session_state_to_string(enum session_state state)
{
        return states[state].name;
}

const char *session_state_to_active(enum session_state state)
{
        return states[state].active;
}

const char *session_event_to_string(enum session_event event)
{
        static const char *const names[SESSION_EVENT__MAX] = {
                [EVENT_PREPARE] = "prepare",
                [EVENT_LAUNCH] = "launch",
                [EVENT_START_FAILED] = "start failed",
                [EVENT_HELLO] = "hello",
                [EVENT_READY] = "ready",
                [EVENT_BUSY] = "busy",
                [EVENT_QUIET] = "quiet",
                [EVENT_STOP] = "stop",
                [EVENT_KILL] = "kill",
                [EVENT_GONE] = "gone",
                [EVENT_WORKER_LOST] = "worker lost",
                [EVENT_DEADLINE] = "deadline",
                [EVENT_EMPTY] = "empty",
        };

        return names[event];
}

bool session_state_is_final(enum session_state state)
{
        return state == SESSION_STOPPED || state == SESSION_FAILED;
}

bool session_state_is_open(enum session_state state)
{
        return state == SESSION_STARTING || state == SESSION_READY || state == SESSION_IDLE;
}

bool session_state_is_ending(enum session_state state)
{
        return state == SESSION_DRAINING || state == SESSION_KILLING;
}
