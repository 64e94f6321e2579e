/* The clients attached to a session: one per `initialize` that was answered, or per transport session that
 * the key has brought here (worker/adopt.h). A session has one client unless several know its key. */
#pragma once

#include "common/identity.h"
#include "common/ipc.h"
#include "worker/backlog.h"

#include <sys/queue.h>

struct stream;

#define CLIENT_VERSION_SIZE 32

struct client {
        TAILQ_ENTRY(client) entry;
        char transport_id[IPC_KEY_SIZE];
        char identity[IDENTITY_SIZE]; /* "" when its clientInfo has none */
        char backend_id[IPC_KEY_SIZE]; /* the id by which an HTTP backend knows it; "" for none */
        char *initialize;             /* its initialize at an HTTP backend, where a later one may need it (worker/
                                       * http_revive.h); else NULL */
        size_t initialize_size;
        char version[CLIENT_VERSION_SIZE]; /* what was negotiated by that; "" for none */
        bool is_unknown;              /* the HTTP backend does not know it yet: a handshake is due */
        struct stream *get_stream;    /* its open GET, or NULL */
        struct backlog backlog;       /* messages for it that no stream could take */
        bool is_attached;             /* its initialize was answered with a result, or is not needed */
        uint64_t used;                /* a greater number: heard of later (clients_touch) */
};

struct clients;

/* Called for a key that leads to the session beside its own. */
typedef void (*client_alias_fn)(enum key_kind kind, const char *key, void *userdata);

/* kind and key are the session's own; clients_max bounds what is attached at once. key is borrowed. */
int clients_new(enum key_kind kind, const char *key, unsigned clients_max, struct clients **ret);
struct clients *clients_free(struct clients *clients);

/* A client that is not attached yet. identity may be "". */
int client_new(const char *transport_id, const char *identity, struct client **ret);
/* Frees a client that is not attached. */
struct client *client_free(struct client *client);

/* Takes it in as the newest. -ENOSPC: clients_max are attached. */
int clients_attach(struct clients *clients, struct client *client);
/* Takes it out; the caller frees it. */
void clients_detach(struct clients *clients, struct client *client);

/* It was heard of just now. */
void clients_touch(struct clients *clients, struct client *client);

/* By transport id, else by identity (the newest that has it). NULL when none. */
struct client *clients_find(const struct clients *clients, const char *id);
/* The only one attached, or NULL. */
struct client *clients_sole(const struct clients *clients);
struct client *clients_newest(const struct clients *clients);
/* Walks, oldest first: NULL gives the first. */
struct client *clients_next(const struct clients *clients, const struct client *after);
unsigned clients_count(const struct clients *clients);

/* Aliases of one client: of all it has when attached, or of those that end with it when is_leaving. */
void clients_alias_of(const struct clients *clients, const struct client *client, bool is_leaving, client_alias_fn fn,
                      void *userdata);
void clients_each_alias(const struct clients *clients, client_alias_fn fn, void *userdata);
