#include "supervisor/session.h"

#include <sys/random.h>

#define BUCKETS 4096 /* of each index; chains stay short up to some ten thousand sessions */

SLIST_HEAD(session_bucket, session);
TAILQ_HEAD(alias_bucket, session_alias);
TAILQ_HEAD(session_list, session);

struct session_table {
        uint64_t seed; /* keys are chosen by clients: they must not choose the bucket */
        struct session_list live, ended;
        unsigned n_live, n_ended;
        unsigned n_ended_requests; /* of kind KEY_REQUEST, among n_ended */
        struct session_bucket by_id[BUCKETS], by_key[BUCKETS];
        struct alias_bucket aliases[BUCKETS];
};

struct session_table *session_table_new(void)
{
        struct session_table *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        TAILQ_INIT(&t->live);
        TAILQ_INIT(&t->ended);
        for (size_t i = 0; i < BUCKETS; i++)
                TAILQ_INIT(&t->aliases[i]);
        if (getrandom(&t->seed, sizeof(t->seed), 0) != (ssize_t) sizeof(t->seed)) {
                free(t);
                return NULL;
        }
        return t;
}

/* FNV-1a over the string and its NUL, from a random start. */
static uint64_t hash_string(uint64_t hash, const char *s)
{
        do {
                hash = (hash ^ (unsigned char) *s) * UINT64_C(0x100000001b3);
        } while (*s++);
        return hash;
}

static size_t bucket_of_id(const struct session_table *t, const char *id)
{
        return (hash_string(t->seed, id) >> 20) % BUCKETS;
}

static size_t bucket_of_key(const struct session_table *t, const char *principal, const char *server,
                            enum key_kind kind, const char *key)
{
        uint64_t hash = hash_string(t->seed + kind, principal);

        return (hash_string(hash_string(hash, server), key) >> 20) % BUCKETS;
}

static size_t bucket_of_session(const struct session_table *t, const struct session *s)
{
        return bucket_of_key(t, s->record.principal, s->record.server, s->record.kind, s->record.key);
}

static size_t bucket_of_alias(const struct session_table *t, const struct session_alias *alias)
{
        const struct record *r = &alias->session->record;

        return bucket_of_key(t, r->principal, r->server, alias->kind, alias->key);
}

static bool owner_is(const struct session *s, const char *principal, const char *server)
{
        return streq(s->record.principal, principal) && streq(s->record.server, server);
}

static bool key_is(const struct session *s, const char *principal, const char *server, enum key_kind kind,
                   const char *key)
{
        return s->record.kind == kind && streq(s->record.key, key) && owner_is(s, principal, server);
}

int session_table_add(struct session_table *t, struct session *s)
{
        const struct record *r = &s->record;

        if (session_find_id(t, r->id) || session_find_key(t, r->principal, r->server, r->kind, r->key))
                return -EEXIST;
        SLIST_INSERT_HEAD(&t->by_id[bucket_of_id(t, r->id)], s, of_id_bucket);
        SLIST_INSERT_HEAD(&t->by_key[bucket_of_session(t, s)], s, of_key_bucket);
        TAILQ_INSERT_TAIL(&t->live, s, of_table);
        t->n_live++;
        return 0;
}

static bool is_request(const struct session *s)
{
        return s->record.kind == KEY_REQUEST;
}

void session_table_bury(struct session_table *t, struct session *s)
{
        struct session_alias *alias;

        SLIST_REMOVE(&t->by_id[bucket_of_id(t, s->record.id)], s, session, of_id_bucket);
        SLIST_REMOVE(&t->by_key[bucket_of_session(t, s)], s, session, of_key_bucket);
        /* They stay in the session's own list, so that the tombstone still answers to them. */
        TAILQ_FOREACH(alias, &s->aliases, of_session)
                TAILQ_REMOVE(&t->aliases[bucket_of_alias(t, alias)], alias, of_bucket);
        TAILQ_REMOVE(&t->live, s, of_table);
        t->n_live--;
        TAILQ_INSERT_TAIL(&t->ended, s, of_table);
        t->n_ended++;
        t->n_ended_requests += is_request(s);
}

/* There may be many sessions of a single request, and no client asks for one again: of all that is remembered they
 * are half at most. */
static struct session *trim_next(const struct session_table *t, unsigned tombstones_max)
{
        struct session *s = TAILQ_FIRST(&t->ended);

        while (t->n_ended_requests > tombstones_max / 2 && !is_request(s))
                s = TAILQ_NEXT(s, of_table);
        return s;
}

void session_table_trim(struct session_table *t, unsigned tombstones_max)
{
        while (t->n_ended > tombstones_max) {
                struct session *s = trim_next(t, tombstones_max);

                TAILQ_REMOVE(&t->ended, s, of_table);
                t->n_ended--;
                t->n_ended_requests -= is_request(s);
                session_free(s);
        }
}

struct session_table *session_table_free(struct session_table *t)
{
        if (!t)
                return NULL;
        for (struct session *s; (s = TAILQ_FIRST(&t->live));)
                session_table_bury(t, s);
        session_table_trim(t, 0);
        free(t);
        return NULL;
}

struct session *session_find_id(const struct session_table *t, const char *id)
{
        struct session *s;

        SLIST_FOREACH(s, &t->by_id[bucket_of_id(t, id)], of_id_bucket)
                if (streq(s->record.id, id))
                        return s;
        return NULL;
}

struct session *session_find_key(const struct session_table *t, const char *principal, const char *server,
                                 enum key_kind kind, const char *key)
{
        struct session *s;

        SLIST_FOREACH(s, &t->by_key[bucket_of_key(t, principal, server, kind, key)], of_key_bucket)
                if (key_is(s, principal, server, kind, key))
                        return s;
        return NULL;
}

struct session_alias *session_alias_find(const struct session_table *t, const char *principal, const char *server,
                                         enum key_kind kind, const char *key)
{
        struct session_alias *alias;

        TAILQ_FOREACH(alias, &t->aliases[bucket_of_key(t, principal, server, kind, key)], of_bucket)
                if (alias->kind == kind && streq(alias->key, key) && owner_is(alias->session, principal, server))
                        return alias;
        return NULL;
}

struct session *session_find(const struct session_table *t, const char *principal, const char *server,
                             enum key_kind kind, const char *key)
{
        struct session *s = session_find_key(t, principal, server, kind, key);

        if (s)
                return s;
        struct session_alias *alias = session_alias_find(t, principal, server, kind, key);

        return alias ? alias->session : NULL;
}

struct session *session_find_ended_id(const struct session_table *t, const char *id)
{
        struct session *s;

        TAILQ_FOREACH(s, &t->ended, of_table)
                if (streq(s->record.id, id))
                        return s;
        return NULL;
}

static struct session_alias *own_alias_find(const struct session *s, enum key_kind kind, const char *key)
{
        struct session_alias *alias;

        TAILQ_FOREACH(alias, &s->aliases, of_session)
                if (alias->kind == kind && streq(alias->key, key))
                        return alias;
        return NULL;
}

struct session *session_find_ended_key(const struct session_table *t, const char *principal, const char *server,
                                       enum key_kind kind, const char *key)
{
        struct session *s;

        TAILQ_FOREACH_REVERSE(s, &t->ended, session_list, of_table)
                if (key_is(s, principal, server, kind, key) ||
                    (owner_is(s, principal, server) && own_alias_find(s, kind, key)))
                        return s;
        return NULL;
}

static void alias_unlink(struct session_table *t, struct session_alias *alias)
{
        TAILQ_REMOVE(&t->aliases[bucket_of_alias(t, alias)], alias, of_bucket);
        TAILQ_REMOVE(&alias->session->aliases, alias, of_session);
        alias->session->n_aliases--;
}

static void alias_link(struct session_table *t, struct session_alias *alias)
{
        TAILQ_INSERT_HEAD(&t->aliases[bucket_of_alias(t, alias)], alias, of_bucket);
        TAILQ_INSERT_TAIL(&alias->session->aliases, alias, of_session);
        alias->session->n_aliases++;
}

bool session_may_have_alias(const struct session *s, unsigned kind, const char *key)
{
        switch (kind) {
        case KEY_TRANSPORT:
        case KEY_CLIENT:
                return s->record.kind != KEY_REQUEST && key[0];
        case KEY_HANDLE:
                return s->record.kind == KEY_REQUEST && key[0];
        default:
                return false;
        }
}

int session_alias_add(struct session_table *t, struct session *s, enum key_kind kind, const char *key,
                      struct session_alias **ret_evicted)
{
        struct session_alias *alias = own_alias_find(s, kind, key);
        bool was_newest = alias && session_alias_find(t, s->record.principal, s->record.server, kind, key) == alias;

        *ret_evicted = NULL;
        if (alias) {
                alias_unlink(t, alias);
                alias_link(t, alias);
                return was_newest ? 0 : 1;
        }
        size_t size = strlen(key) + 1;

        alias = malloc(sizeof(*alias) + size);
        if (!alias)
                return -ENOMEM;
        alias->session = s;
        alias->kind = kind;
        memcpy(alias->key, key, size);
        if (s->n_aliases >= SESSION_ALIASES_MAX) {
                *ret_evicted = TAILQ_FIRST(&s->aliases);
                alias_unlink(t, *ret_evicted);
        }
        alias_link(t, alias);
        return 1;
}

bool session_alias_remove(struct session_table *t, struct session *s, enum key_kind kind, const char *key)
{
        struct session_alias *alias = own_alias_find(s, kind, key);

        if (!alias)
                return false;
        alias_unlink(t, alias);
        free(alias);
        return true;
}

struct session *session_next(const struct session_table *t, const struct session *after)
{
        return after ? TAILQ_NEXT(after, of_table) : TAILQ_FIRST(&t->live);
}

struct session *session_next_ended(const struct session_table *t, const struct session *after)
{
        return after ? TAILQ_NEXT(after, of_table) : TAILQ_FIRST(&t->ended);
}

unsigned session_count(const struct session_table *t)
{
        return t->n_live;
}

unsigned session_count_ended(const struct session_table *t)
{
        return t->n_ended;
}
