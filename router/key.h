/* How a request names its session: by path, by the session header, by Mcp-Session-Id; or in its body, by
 * an entry of _meta, by who its client is, by what an earlier answer gave out. */
#pragma once

#include "common/http/http.h"
#include "common/ipc.h"
#include "common/jsonrpc.h"
#include "router/servers.h"

/* Hex digits of 128 random bits, and a NUL. */
#define KEY_MINTED_SIZE 33

struct request_key {
        enum key_kind kind;         /* 0: the request names no session */
        bool carries_transport_id;  /* it has an Mcp-Session-Id: it never creates a session */
        char value[IPC_KEY_SIZE];
};

/* Path before session header before Mcp-Session-Id, which stateless requests do not have (is_modern).
 * path_key is still encoded; data NULL for none. -EINVAL: a key given twice or unusable as one (*ret_why
 * says which); -ENOENT: an Mcp-Session-Id that no session can have. */
int key_of_request(const struct http_head *head, struct http_slice path_key, const char *session_header,
                   bool is_modern, struct request_key *ret, const char **ret_why);

/* What the body says more. These return -ENOENT, and leave *ret as it was, when it names no such key or the
 * server takes none. */

/* The server's entry of params._meta. -EINVAL: it is a string, but unusable as a key (*ret_why). */
int key_of_meta(const struct server *server, const struct jsonrpc_message *message, struct request_key *ret,
                const char **ret_why);

/* The identity of a clientInfo object (size 0: none). */
int key_of_client(const struct server *server, struct json_slice client_info, struct request_key *ret);

/* What leads a stateless request back to the session of an earlier one: requestState, or a task's id. */
int key_of_handle(const struct jsonrpc_message *message, struct request_key *ret);

/* Where nothing names one, what an older client that begins gets: the principal's one instance, else a session
 * under minted, a fresh Mcp-Session-Id. -ENOKEY: the server takes neither. */
int key_of_nothing(const struct server *server, const char *minted, struct request_key *ret);

/* How a request could have named a session of this server, for whom to tell: "by …, or by …". NULL for no way,
 * else dst. */
#define KEY_WAYS_SIZE (IPC_META_SIZE + 256)
const char *key_ways(const struct server *server, const char *session_header, char dst[static KEY_WAYS_SIZE]);

/* True for 1–256 bytes 0x21–0x7E. */
bool key_is_valid(const char *data, size_t size);

/* A fresh unguessable Mcp-Session-Id. Negative errno when the kernel gives no randomness. */
int key_mint(char ret[static KEY_MINTED_SIZE]);
