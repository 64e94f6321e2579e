#include "router/table.h"

#include "router/hash.h"
#include "router/upstream.h"

#define BUCKETS_MIN 64

/* One way to a session: its own key or an alias. */
struct table_key {
        struct table_key *next;    /* same bucket, newest first */
        struct table_key *sibling; /* next key of the same session */
        struct session *session;
        uint64_t hash;
        uint8_t kind;
        bool is_own;               /* came with SESSION, not with ALIAS */
        char key[];
};

struct table {
        struct hash_seed seed;
        struct session **ids;
        struct table_key **keys;
        size_t n_id_buckets, n_key_buckets; /* powers of two */
        size_t n_sessions, n_keys;
};

int table_new(struct table **ret)
{
        _cleanup_(table_freep) struct table *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        int r = hash_seed_init(&t->seed);

        if (r < 0)
                return r;
        t->ids = calloc(BUCKETS_MIN, sizeof(*t->ids));
        t->keys = calloc(BUCKETS_MIN, sizeof(*t->keys));
        if (!t->ids || !t->keys)
                return -ENOMEM;
        t->n_id_buckets = t->n_key_buckets = BUCKETS_MIN;
        *ret = TAKE_PTR(t);
        return 0;
}

static void session_free(struct session *s)
{
        upstream_close(s->upstream);
        upstream_unref(s->upstream);
        free(s);
}

struct table *table_free(struct table *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_key_buckets; i++)
                for (struct table_key *k; (k = t->keys[i]);) {
                        t->keys[i] = k->next;
                        free(k);
                }
        for (size_t i = 0; i < t->n_id_buckets; i++)
                for (struct session *s; (s = t->ids[i]);) {
                        t->ids[i] = s->next;
                        session_free(s);
                }
        free(t->ids);
        free(t->keys);
        free(t);
        return NULL;
}

static uint64_t key_hash(const struct table *t, const char *server, const char *principal, unsigned kind,
                         const char *key)
{
        char text[1 + IPC_SERVER_SIZE + IPC_PRINCIPAL_SIZE + IPC_KEY_SIZE];
        size_t used = 0;

        text[used++] = (char) kind;
        for (const char *const *part = (const char *const[]) { server, principal, key, NULL }; *part; part++) {
                size_t size = strlen(*part) + 1; /* the NUL separates */

                if (size > sizeof(text) - used)
                        size = sizeof(text) - used;
                memcpy(text + used, *part, size);
                used += size;
        }
        return hash_bytes(&t->seed, text, used);
}

static bool key_matches(const struct table_key *k, uint64_t hash, const char *server, const char *principal,
                        unsigned kind, const char *key)
{
        return k->hash == hash && k->kind == kind && streq(k->key, key) && streq(k->session->server, server) &&
               streq(k->session->principal, principal);
}

struct session *table_find(const struct table *t, const char *server, const char *principal, enum key_kind kind,
                           const char *key)
{
        uint64_t hash = key_hash(t, server, principal, kind, key);

        for (struct table_key *k = t->keys[hash & (t->n_key_buckets - 1)]; k; k = k->next)
                if (key_matches(k, hash, server, principal, kind, key))
                        return k->session;
        return NULL;
}

struct session *table_find_id(const struct table *t, const char *id)
{
        uint64_t hash = hash_bytes(&t->seed, id, strlen(id));

        for (struct session *s = t->ids[hash & (t->n_id_buckets - 1)]; s; s = s->next)
                if (s->hash == hash && streq(s->id, id))
                        return s;
        return NULL;
}

size_t table_count(const struct table *t)
{
        return t->n_sessions;
}

/* Doubling fails softly: longer chains are slower, not wrong. */
static void table_grow_ids(struct table *t)
{
        size_t n = t->n_id_buckets * 2;
        struct session **ids = calloc(n, sizeof(*ids));

        if (!ids)
                return;
        for (size_t i = 0; i < t->n_id_buckets; i++)
                for (struct session *s; (s = t->ids[i]);) {
                        t->ids[i] = s->next;
                        s->next = ids[s->hash & (n - 1)];
                        ids[s->hash & (n - 1)] = s;
                }
        free(t->ids);
        t->ids = ids;
        t->n_id_buckets = n;
}

/* Keys of one bucket keep their order, which says who is newer. */
static void table_grow_keys(struct table *t)
{
        size_t n = t->n_key_buckets, both = n * 2;
        struct table_key **keys = calloc(both, sizeof(*keys));

        if (!keys)
                return;
        for (size_t i = 0; i < n; i++) {
                struct table_key **ends[2] = { &keys[i], &keys[i + n] };

                for (struct table_key *k = t->keys[i], *next; k; k = next) {
                        struct table_key ***end = &ends[(k->hash & n) != 0];

                        next = k->next;
                        k->next = NULL;
                        **end = k;
                        *end = &k->next;
                }
        }
        free(t->keys);
        t->keys = keys;
        t->n_key_buckets = both;
}

static void key_link(struct table *t, struct table_key *k)
{
        struct table_key **bucket = &t->keys[k->hash & (t->n_key_buckets - 1)];

        k->next = *bucket;
        *bucket = k;
}

static void key_unlink(struct table *t, struct table_key *k)
{
        struct table_key **at = &t->keys[k->hash & (t->n_key_buckets - 1)];

        while (*at != k)
                at = &(*at)->next;
        *at = k->next;
}

static struct table_key **session_key_find(struct session *s, unsigned kind, const char *key)
{
        for (struct table_key **at = &s->keys; *at; at = &(*at)->sibling)
                if ((*at)->kind == kind && streq((*at)->key, key))
                        return at;
        return NULL;
}

static void session_key_remove(struct table *t, struct table_key **at)
{
        struct table_key *k = *at;

        *at = k->sibling;
        key_unlink(t, k);
        t->n_keys--;
        free(k);
}

static int session_key_add(struct table *t, struct session *s, unsigned kind, const char *key, bool is_own)
{
        size_t size = strlen(key) + 1;
        struct table_key *k = malloc(sizeof(*k) + size);

        if (!k)
                return -ENOMEM;
        *k = (struct table_key) {
                .session = s,
                .sibling = s->keys,
                .kind = (uint8_t) kind,
                .is_own = is_own,
                .hash = key_hash(t, s->server, s->principal, kind, key),
        };
        memcpy(k->key, key, size);
        s->keys = k;
        if (++t->n_keys > t->n_key_buckets)
                table_grow_keys(t);
        key_link(t, k);
        return 0;
}

static int session_new(struct table *t, const struct ipc_session *pushed, struct session **ret)
{
        size_t id_size = strlen(pushed->id) + 1, server_size = strlen(pushed->server) + 1;
        size_t principal_size = strlen(pushed->principal) + 1;
        struct session *s = malloc(sizeof(*s) + id_size + server_size + principal_size);

        if (!s)
                return -ENOMEM;
        *s = (struct session) { .hash = hash_bytes(&t->seed, pushed->id, id_size - 1) };
        memcpy(s->id, pushed->id, id_size);
        s->server = memcpy(s->id + id_size, pushed->server, server_size);
        s->principal = memcpy(s->id + id_size + server_size, pushed->principal, principal_size);
        if (++t->n_sessions > t->n_id_buckets)
                table_grow_ids(t);
        s->next = t->ids[s->hash & (t->n_id_buckets - 1)];
        t->ids[s->hash & (t->n_id_buckets - 1)] = s;
        *ret = s;
        return 0;
}

int table_put_session(struct table *t, const struct ipc_session *pushed)
{
        if (!IPC_STRING_OK(pushed->id) || !IPC_STRING_OK(pushed->server) || !IPC_STRING_OK(pushed->principal) ||
            !IPC_STRING_OK(pushed->key) || !pushed->id[0] || strchr(pushed->id, '/'))
                return -EBADMSG;
        struct session *s = table_find_id(t, pushed->id);

        if (s && (!streq(s->server, pushed->server) || !streq(s->principal, pushed->principal))) {
                table_remove(t, pushed->id);
                s = NULL;
        }
        if (!s) {
                int r = session_new(t, pushed, &s);

                if (r < 0)
                        return r;
        }
        s->generation = pushed->generation;
        for (struct table_key **at = &s->keys; *at;)
                if ((*at)->is_own && ((*at)->kind != pushed->kind || !streq((*at)->key, pushed->key)))
                        session_key_remove(t, at);
                else
                        at = &(*at)->sibling;
        struct table_key **known = session_key_find(s, pushed->kind, pushed->key);

        if (!known)
                return session_key_add(t, s, pushed->kind, pushed->key, true);
        (*known)->is_own = true;
        return 0;
}

int table_put_alias(struct table *t, const struct ipc_alias *pushed)
{
        if (!IPC_STRING_OK(pushed->id) || !IPC_STRING_OK(pushed->key))
                return -EBADMSG;
        struct session *s = table_find_id(t, pushed->id);

        if (!s)
                return 0;
        struct table_key **known = session_key_find(s, pushed->kind, pushed->key);

        if (known && (*known)->is_own)
                return 0;
        if (pushed->is_removed) {
                if (known)
                        session_key_remove(t, known);
                return 0;
        }
        if (known) { /* said again: it is the newest now */
                key_unlink(t, *known);
                key_link(t, *known);
                return 0;
        }
        return session_key_add(t, s, pushed->kind, pushed->key, false);
}

void table_remove(struct table *t, const char *id)
{
        struct session *s = table_find_id(t, id);

        if (!s)
                return;
        while (s->keys)
                session_key_remove(t, &s->keys);
        struct session **at = &t->ids[s->hash & (t->n_id_buckets - 1)];

        while (*at != s)
                at = &(*at)->next;
        *at = s->next;
        t->n_sessions--;
        session_free(s);
}

void table_adopt_upstreams(struct table *t, struct table *old)
{
        for (size_t i = 0; i < t->n_id_buckets; i++)
                for (struct session *s = t->ids[i]; s; s = s->next) {
                        struct session *before = table_find_id(old, s->id);

                        if (before && !s->upstream)
                                s->upstream = TAKE_PTR(before->upstream);
                }
}
