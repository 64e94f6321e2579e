/* A session that ended for idleness and is asked for again goes on with a fresh backend, and its clients
 * notice nothing: most of them would not initialize again. What that takes is told with the end, as a JSON
 * object, and comes back in the spec of the next generation:
 *
 *   {"initialize": the first client's request, verbatim, "version": what was negotiated,
 *    "clients": [{"id": Mcp-Session-Id, "identity": …}, …]}
 *
 * "initialize" and "version" are absent where the backend was never initialized. */
#pragma once

#include "common/macro.h"

struct client;
struct json_slice;
struct json_writer;
struct stdio;

/* One of the clients: its entry without the closing brace, at most so many bytes of it, and what is made of it, a
 * client that is not attached yet. */
void revive_client_write(const struct client *client, struct json_writer *w);
size_t revive_client_bytes_max(const struct client *client);
int revive_client_read(struct json_slice entry, struct client **ret);

/* The object, the caller's. -E2BIG: the first client's initialize is too large to be kept. */
int revive_write(const struct stdio *stdio, char **ret);

/* Takes in what the spec has: the clients are attached from the start. */
int revive_read(struct stdio *stdio);

/* The backend can be written to: the initialize is replayed. */
void revive_begin(struct stdio *stdio);
