/* A session: one live instance of a server, or the tombstone of one; and the table of all. */
#pragma once

#include "common/ipc.h"
#include "common/reason.h"
#include "supervisor/child.h"
#include "supervisor/record.h"
#include "supervisor/session_fsm.h"
#include "supervisor/usage.h"
#include "supervisor/workspace.h"

#include <sys/queue.h>

struct session;
struct session_table;
struct peer;
struct supervisor;
struct tracked;
struct waiter;

#define SESSION_ALIASES_MAX 512 /* two for each client that a worker lets attach */

TAILQ_HEAD(waiter_list, waiter);

/* Who owns a tracked group of processes: first member of a session, a prepare run, a stray. */
struct tracked_owner {
        void (*on_empty)(struct tracked_owner *owner);
};

/* A further key that leads to a session. Several live sessions may claim one; the newest claim wins,
 * and when its session ends the next newest does. */
struct session_alias {
        TAILQ_ENTRY(session_alias) of_session; /* oldest first */
        TAILQ_ENTRY(session_alias) of_bucket;  /* newest first */
        struct session *session;
        enum key_kind kind;
        char key[];
};

/* How the last backend ended, as its worker told. */
struct session_exit {
        bool is_known;
        pid_t pid;
        int code;   /* CLD_EXITED, CLD_KILLED, CLD_DUMPED */
        int status; /* exit status or signal number */
};

struct session {
        struct supervisor *supervisor;
        struct record record;            /* id, server, principal, key, kind, generation, token, seed, labels, … */
        char *command;                   /* what the backend was started with; for people */
        usec_t start_usec, drain_usec, rung_usec; /* of the definition it was started from */
        bool awaits_request;             /* READY is the first protocol answer (else the successful exec) */

        enum session_state state;
        usec_t since_usec;               /* CLOCK_MONOTONIC of the last move */
        usec_t since_realtime_usec;
        usec_t created_usec;             /* CLOCK_MONOTONIC; an adopted one: of the adoption, less its age */
        struct event *deadline;          /* of the state */
        struct event *emptied;           /* tells EVENT_EMPTY from the loop */
        usec_t empty_usec;               /* when it was first seen without a process; 0: not yet */
        struct event *lifetime;          /* of the session */

        bool is_followed;                /* whoever ends it puts the next generation in its place, then removes its record */
        bool is_failed;                  /* the final state will be failed rather than stopped */
        enum reason end_reason;          /* why it ends; REASON__MAX while nothing is known */
        char *end_failure;               /* JSON of the failure (common/reason.h), or NULL */
        usec_t stop_drain_usec;          /* drain time of the STOP to be sent, from the moment it was asked for */
        usec_t drain_until_usec;         /* CLOCK_MONOTONIC: when that is over; 0: nobody asked */

        struct tracked_owner owner;
        struct tracked *tracked;         /* NULL before the launch and after the end */
        char *tracking;                  /* tracked_describe's words, kept for people */
        struct workspace_paths paths;
        pid_t worker_pid;                /* 0: none */
        pid_t worker_parent;             /* who inherits its orphans; 0: unknown */
        struct child worker_child;       /* its exit; adopted workers are nobody's child */
        struct peer *worker;             /* its connection, NULL while there is none */
        pid_t backend_pid;               /* 0: none yet or none any more */
        struct session_exit last_exit;
        char *last_lines;                /* last stderr lines of the backend, LF-separated, or NULL */

        struct ipc_status status;        /* newest counters */
        usec_t status_usec;              /* when they came */
        struct usage usage;              /* when it was last asked for; of an ended one: at its end */
        usec_t usage_usec;               /* when it was read */
        usec_t status_asked_usec;        /* when the worker was last asked for them */

        TAILQ_HEAD(, session_alias) aliases;
        unsigned n_aliases;
        struct waiter_list waiters;      /* questions of routers that this session's fate answers */
        bool is_queued, holds_room, holds_start; /* admission's: counted against its three limits */
        bool is_announced;               /* the routers know it */

        TAILQ_ENTRY(session) of_table;   /* live ones in order of creation, or tombstones in order of end */
        TAILQ_ENTRY(session) of_queue;   /* admission's, while queued */
        SLIST_ENTRY(session) of_id_bucket, of_key_bucket;
};

/* ---- one session ---- */

/* A new session in state QUEUED, in no table, known to nobody. The record's strings are consumed. NULL:
 * out of memory. */
struct session *session_new(struct supervisor *supervisor, struct record *record_consume);
/* Frees a session that is in no table. What it still tracks is forgotten, not killed. */
struct session *session_free(struct session *session);
DEFINE_CLEANUP(struct session, session_free)

/* Microseconds since the last request ended: 0 while one is in flight or none is known. */
usec_t session_idle_usec(const struct session *session);

/* The user its processes run as. */
uid_t session_uid(const struct session *session);

/* Remembers why the session ends; the first reason stays. failure_json is copied and may be NULL. */
void session_set_end(struct session *session, bool is_failed, enum reason reason, const char *failure_json,
                     size_t size);
/* It does not end after all. */
void session_forget_end(struct session *session);

/* What is known of the end beside its reason, a sentence's part; NULL: nothing. The caller's. */
char *session_end_detail(const struct session *session);

/* The failure that people who ask for this session are told, built from what is known. *ret is the caller's. */
int session_failure_json(const struct session *session, char **ret, size_t *ret_size);

/* The worker's socket accepts: a router may be sent there. */
bool session_is_reachable(const struct session *session);

/* 16 hex digits / 32 hex digits of getrandom(2). */
int session_make_id(char ret[static IPC_ID_SIZE]);
int session_make_token(char ret[static IPC_TOKEN_SIZE]);
/* Compares in constant time. */
bool session_token_equal(const char *a, const char *b);

/* ---- the table ---- */

struct session_table *session_table_new(void);
/* Frees every session and tombstone in it. */
struct session_table *session_table_free(struct session_table *table);
DEFINE_CLEANUP(struct session_table, session_table_free)

/* Inserts. -EEXIST: the id or (principal, server, kind, key) is taken. */
int session_table_add(struct session_table *table, struct session *session);

/* Takes an ended session out of the live ones, frees its key and aliases for others and keeps it as a
 * tombstone (until session_table_trim). */
void session_table_bury(struct session_table *table, struct session *session);

/* Frees the oldest tombstones beyond tombstones_max; first those of single requests, where they are more than
 * half of that. */
void session_table_trim(struct session_table *table, unsigned tombstones_max);

/* Live sessions only. */
struct session *session_find_id(const struct session_table *table, const char *id);
struct session *session_find_key(const struct session_table *table, const char *principal, const char *server,
                                 enum key_kind kind, const char *key);
/* By key, else by alias (the newest claim). */
struct session *session_find(const struct session_table *table, const char *principal, const char *server,
                             enum key_kind kind, const char *key);

/* Tombstones: the newest one that had the key, or that had it as an alias. */
struct session *session_find_ended_id(const struct session_table *table, const char *id);
struct session *session_find_ended_key(const struct session_table *table, const char *principal, const char *server,
                                       enum key_kind kind, const char *key);

/* Whether a worker may say that a further key leads to its session: never one of a caller's choice, by which it
 * could take another's session. What a backend gave out leads back only to the session of a single request,
 * which nothing else leads to. */
bool session_may_have_alias(const struct session *session, unsigned kind, const char *key);

/* Adds an alias, or makes an existing one the newest. 1: it changed what the key leads to, 0: it
 * was there and newest, -ENOMEM. When the session has SESSION_ALIASES_MAX already, its oldest alias
 * is removed and handed to *ret_evicted (the caller's, free()); else *ret_evicted is NULL. */
int session_alias_add(struct session_table *table, struct session *session, enum key_kind kind, const char *key,
                      struct session_alias **ret_evicted);
/* Removes one. True when the session had it. */
bool session_alias_remove(struct session_table *table, struct session *session, enum key_kind kind, const char *key);
/* The newest claim of a key, or NULL. */
struct session_alias *session_alias_find(const struct session_table *table, const char *principal, const char *server,
                                         enum key_kind kind, const char *key);

/* Walks, oldest first: NULL gives the first. Whoever may bury the current one fetches the next before. */
struct session *session_next(const struct session_table *table, const struct session *after);
struct session *session_next_ended(const struct session_table *table, const struct session *after);
unsigned session_count(const struct session_table *table);
unsigned session_count_ended(const struct session_table *table);
