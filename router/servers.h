/* The configured servers, as the supervisor pushed them: what a request's path may name. */
#pragma once

#include "common/http/http.h"
#include "common/ipc.h"

struct server {
        char name[IPC_SERVER_SIZE];
        bool is_default;
        enum transport transport;
        unsigned keys;           /* bit mask 1 << enum key_kind */
        enum backend_era era;    /* what its backends speak, where that is known */
        enum keyless_policy keyless;
        char meta_key[IPC_META_SIZE]; /* the _meta entry of KEY_META; "" without it */
};

/* Zero-initialised is empty. */
struct servers {
        struct server *items;    /* sorted by name */
        size_t n_items;
};

/* Adds or replaces the server of this name. -EBADMSG: a string without end. */
int servers_put(struct servers *servers, const struct ipc_server *pushed);
void servers_done(struct servers *servers);

/* NULL when there is none. Pointers hold until the next servers_put or servers_done. */
const struct server *servers_find(const struct servers *servers, struct http_slice name);
const struct server *servers_default(const struct servers *servers);
