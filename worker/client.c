#include "worker/client.h"

struct clients {
        enum key_kind kind;
        const char *key;
        unsigned n, n_max;
        uint64_t last_used;
        TAILQ_HEAD(client_list, client) list; /* oldest first */
};

int clients_new(enum key_kind kind, const char *key, unsigned clients_max, struct clients **ret)
{
        struct clients *clients = calloc(1, sizeof(*clients));

        if (!clients)
                return -ENOMEM;
        TAILQ_INIT(&clients->list);
        clients->kind = kind;
        clients->key = key;
        clients->n_max = clients_max;
        *ret = clients;
        return 0;
}

struct clients *clients_free(struct clients *clients)
{
        struct client *client;

        if (!clients)
                return NULL;
        while ((client = TAILQ_FIRST(&clients->list))) {
                clients_detach(clients, client);
                client_free(client);
        }
        free(clients);
        return NULL;
}

int client_new(const char *transport_id, const char *identity, struct client **ret)
{
        struct client *client = calloc(1, sizeof(*client));

        if (!client)
                return -ENOMEM;
        STR_COPY(client->transport_id, transport_id);
        STR_COPY(client->identity, identity);
        backlog_init(&client->backlog);
        *ret = client;
        return 0;
}

struct client *client_free(struct client *client)
{
        if (!client)
                return NULL;
        assert(!client->is_attached);
        backlog_done(&client->backlog);
        free(client->initialize);
        free(client);
        return NULL;
}

int clients_attach(struct clients *clients, struct client *client)
{
        if (clients->n >= clients->n_max)
                return -ENOSPC;
        TAILQ_INSERT_TAIL(&clients->list, client, entry);
        client->is_attached = true;
        clients->n++;
        clients_touch(clients, client);
        return 0;
}

void clients_touch(struct clients *clients, struct client *client)
{
        client->used = ++clients->last_used;
}

void clients_detach(struct clients *clients, struct client *client)
{
        TAILQ_REMOVE(&clients->list, client, entry);
        client->is_attached = false;
        clients->n--;
}

struct client *clients_find(const struct clients *clients, const char *id)
{
        struct client *client;

        TAILQ_FOREACH(client, &clients->list, entry)
                if (streq(client->transport_id, id))
                        return client;
        TAILQ_FOREACH_REVERSE(client, &clients->list, client_list, entry)
                if (client->identity[0] && streq(client->identity, id))
                        return client;
        return NULL;
}

struct client *clients_sole(const struct clients *clients)
{
        return clients->n == 1 ? TAILQ_FIRST(&clients->list) : NULL;
}

struct client *clients_newest(const struct clients *clients)
{
        return TAILQ_LAST(&clients->list, client_list);
}

struct client *clients_next(const struct clients *clients, const struct client *after)
{
        return after ? TAILQ_NEXT(after, entry) : TAILQ_FIRST(&clients->list);
}

unsigned clients_count(const struct clients *clients)
{
        return clients->n;
}

static bool is_own_key(const struct clients *clients, enum key_kind kind, const char *key)
{
        return clients->kind == kind && streq(clients->key, key);
}

static bool identity_is_shared(const struct clients *clients, const struct client *client)
{
        const struct client *other;

        TAILQ_FOREACH(other, &clients->list, entry)
                if (other != client && streq(other->identity, client->identity))
                        return true;
        return false;
}

void clients_alias_of(const struct clients *clients, const struct client *client, bool is_leaving, client_alias_fn fn,
                      void *userdata)
{
        if (!is_own_key(clients, KEY_TRANSPORT, client->transport_id))
                fn(KEY_TRANSPORT, client->transport_id, userdata);
        if (client->identity[0] && !is_own_key(clients, KEY_CLIENT, client->identity) &&
            !(is_leaving && identity_is_shared(clients, client)))
                fn(KEY_CLIENT, client->identity, userdata);
}

void clients_each_alias(const struct clients *clients, client_alias_fn fn, void *userdata)
{
        const struct client *client;

        TAILQ_FOREACH(client, &clients->list, entry)
                clients_alias_of(clients, client, false, fn, userdata);
}
