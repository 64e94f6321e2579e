/* What a JSON-RPC 2.0 message is, found by its bytes (JSON-RPC 2.0 §4–§6; MCP base protocol). */
#pragma once

#include "common/json_scan.h"

enum jsonrpc_kind {
        JSONRPC_REQUEST,      /* method and id */
        JSONRPC_NOTIFICATION, /* method, no id */
        JSONRPC_RESPONSE,     /* id and result or error */
        JSONRPC_BATCH,        /* a non-empty array; walk it with json_next */
};

/* Slices point into the scanned text. Absent members have size 0. */
struct jsonrpc_message {
        enum jsonrpc_kind kind;
        struct json_slice whole;
        struct json_slice id;      /* raw token: 7, "a", "\u0061" */
        struct json_slice method;  /* raw token with quotes */
        struct json_slice params, result, error;
};

/* -EBADMSG, -ELOOP: not JSON; -EPROTO: JSON, but not JSON-RPC (id neither string nor number, no
 * "jsonrpc":"2.0", an empty array, a member of the envelope given twice, …). An error response may have
 * the id null, or none: its sender could not read the request's (JSON-RPC 2.0 §5). */
int jsonrpc_parse(const char *text, size_t size, struct jsonrpc_message *ret);

/* jsonrpc_parse of an element that json_next gave; an element that is itself an array is -EPROTO. */
int jsonrpc_parse_value(struct json_slice value, struct jsonrpc_message *ret);

/* method equals word. */
bool jsonrpc_method_is(const struct jsonrpc_message *message, const char *word);

/* True when both tokens name the same id: numbers by their text, strings by their decoded text;
 * 1 and "1" differ. */
bool jsonrpc_id_equal(struct json_slice a, struct json_slice b);

/* A copy of message with the token `old` (a slice inside it) replaced by `replacement`. *ret is the
 * caller's; every other byte is as it was. */
int jsonrpc_replace(struct json_slice whole, struct json_slice old, const char *replacement, size_t replacement_size,
                    char **ret, size_t *ret_size);

/* One change of a message: the bytes of old (a slice inside it; size 0: nothing is taken out there) become
 * text. */
struct jsonrpc_edit {
        struct json_slice old;
        const char *text;
        size_t size;
};

/* A copy of whole with all the edits, which do not overlap; their order does not matter, and is changed. */
int jsonrpc_edit(struct json_slice whole, struct jsonrpc_edit *edits, size_t n, char **ret, size_t *ret_size);
