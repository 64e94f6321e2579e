/* Clients that did not initialize this backend, but whose messages belong to it all the same: those of a
 * session that is found by an entry of _meta, where each call may come from a new transport session. The
 * worker makes the backend's handshake itself, where no client has, and what came before it is done waits. */
#pragma once

#include "common/jsonrpc.h"
#include "common/reason.h"

#define ADOPT_VERSION_DEFAULT "2025-06-18" /* for a client that names none: the newest one that every server knows */

struct client;
struct exchange;
struct stdio;
struct stream;

/* The client an exchange speaks for. 0 with *ret: attached, or NULL when it has no Mcp-Session-Id and stands
 * for itself alone; negative with the reason for which there is none. */
int adopt_client(struct stdio *stdio, const struct exchange *exchange, struct client **ret, enum reason *ret_reason);

/* A message came and the backend's handshake is not done: it waits. Begins the handshake where nobody has.
 * -ENOBUFS, -ENOMEM: it was not taken. */
int adopt_hold(struct stdio *stdio, struct client *client, struct stream *stream,
               const struct jsonrpc_message *message);

/* The handshake is done: a message that waited goes to the backend. */
void adopt_forward(struct stdio *stdio, struct client *client, struct stream *stream,
                   const struct jsonrpc_message *message);

/* The worker's own initialize, the caller's. */
int adopt_initialize(const char *version, char **ret, size_t *ret_size);

/* Sends an initialize of the worker's own. Without a backend to send it to the session's end follows. */
void adopt_begin(struct stdio *stdio);
