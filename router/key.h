/* How a request names its session: by path, by the session header, by Mcp-Session-Id. */
#pragma once

#include "common/http/http.h"
#include "common/ipc.h"

/* Hex digits of 128 random bits, and a NUL. */
#define KEY_MINTED_SIZE 33

struct request_key {
        enum key_kind kind;         /* 0: the request names no session */
        bool carries_transport_id;  /* it has an Mcp-Session-Id: it never creates a session */
        char value[IPC_KEY_SIZE];
};

/* Path before session header before Mcp-Session-Id. path_key is still encoded; data NULL for none.
 * -EINVAL: a key given twice or unusable as one (*ret_why says which); -ENOENT: an Mcp-Session-Id
 * that no session can have. */
int key_of_request(const struct http_head *head, struct http_slice path_key, const char *session_header,
                   struct request_key *ret, const char **ret_why);

/* True for 1–256 bytes 0x21–0x7E. */
bool key_is_valid(const char *data, size_t size);

/* A fresh unguessable Mcp-Session-Id. Negative errno when the kernel gives no randomness. */
int key_mint(char ret[static KEY_MINTED_SIZE]);
