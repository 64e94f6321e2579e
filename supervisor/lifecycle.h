/* What is done at each step of a session's life (the actions of session_fsm.h), and the few verbs
 * that others may use on a session. */
#pragma once

#include "supervisor/session.h"

struct server_config;

/* What a new session is made of. Strings are borrowed. */
struct session_request {
        const char *principal, *key;
        enum key_kind kind;
        bool awaits_request;       /* a client's request caused it, so READY is the first protocol answer */
        unsigned generation;       /* 0: one more than the last that this key had */
        bool has_seed;
        int64_t seed;
        const char *labels;        /* JSON object text or NULL */
        const char *config;        /* JSON text or NULL */
        usec_t idle_usec, lifetime_usec; /* 0: the server's */
        uint32_t dynamic_uid;      /* the number of its own that the last generation had; 0: none */
        const char *body_digest;   /* of a PUT, or NULL */
        const char *revive;        /* what its backend goes on with (worker/revive.h), or NULL */
        const char *aliases;       /* with it: of the record */
};

/* What makes a session with a fresh backend for the key and with the settings of s, live or ended. Borrows
 * from s. */
struct session_request lifecycle_request_like(const struct session *s);

/* Makes the session and asks admission to start it. *ret stays valid although the start may have
 * failed at once (its state says so). -EEXIST: the key is taken; -EBUSY: no room and the queue
 * is full; -ESHUTDOWN: everything is being stopped. */
int lifecycle_create(struct supervisor *supervisor, const struct server_config *server,
                     const struct session_request *request, struct session **ret);

/* Ends a session: the worker is told to drain for at most drain_usec, then the stop ladder runs, then
 * everything is killed. reason is what waiting clients hear, detail (NULL: nothing) what is told beside it
 * afterwards, unless it is ending already: then this only shortens what is left of its draining. */
void lifecycle_stop(struct session *session, enum reason reason, const char *detail, usec_t drain_usec);

/* Kills every process of the session now. */
void lifecycle_kill(struct session *session, enum reason reason);

/* What a session takes from the definition that it is started from; NULL: it is not configured any more. */
void lifecycle_set_definition(struct session *session, const struct server_config *server);

/* Arms the maximum lifetime, counted from the record's creation. */
void lifecycle_arm_lifetime(struct session *session);

/* Looks whether a session that is being killed has no process and no cgroup left; then it ends
 * (EVENT_EMPTY), else this is looked at again soon. */
void lifecycle_check_empty(struct session *session);

/* The actions, by number; run by session_dispatch. */
void lifecycle_run(struct session *session, enum session_action action);
