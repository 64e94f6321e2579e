/* The record of a session: what a new supervisor must know and no worker may claim. Written before
 * the clone, one JSON file per session in RUNTIME/records, readable by the supervisor's user alone. */
#pragma once

#include "common/ipc.h"

struct record {
        char id[IPC_ID_SIZE];
        char server[IPC_SERVER_SIZE];
        char principal[IPC_PRINCIPAL_SIZE];
        char key[IPC_KEY_SIZE];
        uint32_t kind;              /* enum key_kind */
        uint32_t generation;
        char token[IPC_TOKEN_SIZE];
        uint64_t created_usec;      /* CLOCK_REALTIME */
        bool has_seed;
        int64_t seed;
        bool has_uid;               /* its backend runs as another user than the supervisor … */
        bool is_uid_dynamic;        /* … of a number that is this session's alone */
        uint32_t uid;
        char *user;                 /* with it: the user's name, or number */
        usec_t idle_usec;           /* in force for this session; USEC_INFINITY: never */
        usec_t lifetime_usec;
        char *labels;               /* JSON object text or NULL */
        char *config;               /* JSON text, verbatim, or NULL */
        char *limits;               /* of its own that it was started with: JSON object text, or NULL */
        char *definition_hash;      /* of the server it was started from */
        bool is_put;                /* made by PUT: body_digest below decides 200 or 409 */
        char body_digest[40];       /* hex, of the canonical PUT body */
        char *revive;               /* what it can be revived with (worker/revive.h), or NULL */
        char *aliases;              /* with it: JSON array of [kind, key] */
        uint64_t dormant_usec;      /* CLOCK_REALTIME from which it is dormant, 0: it is not */
};

/* Frees the strings and empties the struct. */
void record_done(struct record *record);

/* Writes atomically below dir_fd (RUNTIME/records), name = id, mode 0600. */
int record_write(int dir_fd, const struct record *record);

/* Reads one. -EBADMSG: not a record of ours. *ret is filled in only on success. */
int record_read(int dir_fd, const char *id, struct record *ret);

/* 0 also when it was not there. */
int record_remove(int dir_fd, const char *id);

/* Calls found with the id of every file; forwards its first negative return. */
int record_list(int dir_fd, int (*found)(const char *id, void *userdata), void *userdata);
