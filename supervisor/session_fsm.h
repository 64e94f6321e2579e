/* The life of a session, as one table: state × event → new state, action.
 *
 *   queued → preparing → starting → ready ⇄ idle → draining → killing → stopped | failed | dormant
 *   adopting (after a restart of the supervisor) → starting | ready | killing
 *
 * Only session_set_state moves a session. Each state except ready and idle (whose ends are the
 * worker's idle timer and the maximum lifetime) and the two final ones has a deadline, which is an
 * event like any other. */
#pragma once

#include "common/macro.h"
#include "common/time_util.h"

struct session;

enum session_state {
        SESSION_QUEUED,    /* waits for a start slot */
        SESSION_PREPARING, /* the definition's prepare command runs for it */
        SESSION_STARTING,  /* the worker was launched; its socket accepts already */
        SESSION_READY,     /* requests are in flight */
        SESSION_IDLE,      /* none is */
        SESSION_ADOPTING,  /* known from its record; its worker has not said HELLO to this supervisor */
        SESSION_DRAINING,  /* the door is closed; the worker ends its backend and itself */
        SESSION_KILLING,   /* the worker is gone or gave no sign: every process is being killed */
        SESSION_DORMANT,   /* it was idle and nothing of it runs; who asks for its key starts its next generation */
        SESSION_STOPPED,   /* over, as asked; no process and no file is left */
        SESSION_FAILED,    /* over, by a fault; likewise nothing left */
        SESSION_STATE__MAX,
};

enum session_event {
        EVENT_PREPARE,     /* a start slot came, the prepare command was started */
        EVENT_LAUNCH,      /* a start slot came (and preparation is done): start the worker */
        EVENT_START_FAILED, /* no worker could be started: capacity, prepare, spawn */
        EVENT_HELLO,       /* the worker is here; it was not ready yet */
        EVENT_READY,       /* the backend answered or listens */
        EVENT_BUSY,        /* a request is in flight */
        EVENT_QUIET,       /* the last one ended */
        EVENT_STOP,        /* somebody wants it to end */
        EVENT_KILL,        /* the same, without waiting for anything */
        EVENT_GONE,        /* the worker closed its door and says why */
        EVENT_WORKER_LOST, /* connection EOF, or the process died before it said HELLO */
        EVENT_DEADLINE,    /* the state lasted too long */
        EVENT_EMPTY,       /* no process of it is left */
        SESSION_EVENT__MAX,
};

/* What is done after the move, by lifecycle.c. */
enum session_action {
        ACTION_NONE,
        ACTION_LAUNCH,     /* workspace, record, socket, clone */
        ACTION_SEND_STOP,  /* STOP to the worker */
        ACTION_KILL,       /* kill every process; EVENT_EMPTY follows */
        ACTION_KILL_AGAIN, /* the same, with a warning: it should have been over */
        ACTION_BURY,       /* nothing is left: remove files, free the key, leave a tombstone; or rest */
        SESSION_ACTION__MAX,
};

/* Stands for dormant where the session can be revived, else for stopped or failed, whichever its is_failed
 * says. */
#define SESSION_FINAL SESSION_STATE__MAX

/* One cell: is_ignored means that the event says nothing new in this state. */
struct session_transition {
        enum session_state to;
        enum session_action action;
        bool is_ignored;
};

/* The cell; every one is written down. */
const struct session_transition *session_fsm_find(enum session_state state, enum session_event event);

/* Feeds event to the session: moves it, then runs the action. The session may be a tombstone on return,
 * but it is not freed before the loop turns. */
void session_dispatch(struct session *session, enum session_event event);

/* The one mover: stamps the time, arms the deadline of the new state (drops the old one), tells the
 * observers. Used by session_dispatch, and for the first state by who made the session. */
void session_set_state(struct session *session, enum session_state state);

/* The deadline of the session's state begins anew. */
void session_extend(struct session *session);

/* Tells the observers (supervisor/supervisor.h). Also called with old == session->state when
 * something else that they may show has changed: the worker was launched, the backend's pid is known. */
void session_notify(struct session *session, enum session_state old);

/* How long the session may stay in state; USEC_INFINITY for ready, idle and the final ones. */
usec_t session_state_deadline_usec(const struct session *session, enum session_state state);

/* "queued", "starting", … : the sub-state of the control socket. */
const char *session_state_to_string(enum session_state state);
/* systemd's word for it: activating, active, deactivating, inactive, failed. */
const char *session_state_to_active(enum session_state state);
const char *session_event_to_string(enum session_event event);

bool session_state_is_final(enum session_state state);
/* A request may be sent to the worker: starting, ready, idle. */
bool session_state_is_open(enum session_state state);
/* draining or killing: no new request, the key still taken. */
bool session_state_is_ending(enum session_state state);
