/* The router's copy of the session table: which session a key leads to.
 *
 * Filled by the supervisor's pushes alone, so that clients cannot make it grow. A key belongs to
 * (server, principal, kind); several sessions may have the same one as an alias: the newest wins,
 * and when that ends the one before it is found again. */
#pragma once

#include "common/ipc.h"

struct table;
struct table_key;
struct upstream;

/* One live session; a row of the table. Strings are its own. */
struct session {
        struct session *next;          /* same bucket of ids */
        struct table_key *keys;
        struct upstream *upstream;     /* connections to its worker; NULL until the first request */
        uint64_t hash;
        uint32_t generation;
        const char *server, *principal;
        char id[];                     /* followed by the bytes of server and principal */
};

int table_new(struct table **ret);
struct table *table_free(struct table *table);
DEFINE_CLEANUP(struct table, table_free)

/* Adds the session or brings its key and generation up to date. -EBADMSG: a string without end. */
int table_put_session(struct table *table, const struct ipc_session *pushed);

/* Adds, renews or removes a further key. An unknown session is not an error: it has just ended. */
int table_put_alias(struct table *table, const struct ipc_alias *pushed);

/* Removes a session with all its keys; an unknown one is fine. */
void table_remove(struct table *table, const char *id);

struct session *table_find(const struct table *table, const char *server, const char *principal,
                           enum key_kind kind, const char *key);
struct session *table_find_id(const struct table *table, const char *id);

size_t table_count(const struct table *table);

/* Lets the sessions of table keep the worker connections that the same sessions have in old. */
void table_adopt_upstreams(struct table *table, struct table *old);
