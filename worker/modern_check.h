/* Whether a modern request says what it must, and its headers say the same (MCP 2026-07-28, "Request
 * Metadata" and Streamable HTTP, "Server Validation"). A backend behind stdio sees no headers, so that this
 * is ours to check. */
#pragma once

#include "common/mcp.h"
#include "common/reason.h"

#define MODERN_DETAIL_SIZE 192
#define MODERN_REQUESTED_SIZE 64

struct modern_fault {
        enum reason reason;
        char detail[MODERN_DETAIL_SIZE];       /* may be "" */
        char requested[MODERN_REQUESTED_SIZE]; /* the revision asked for; "" when it is not known */
};

/* 0 or -EINVAL with what is wrong. envelope is of this message, which is a request or a notification and
 * modern by mcp_is_modern. Notifications need no headers, but what they have must be right. */
int modern_check(const struct http_head *head, const struct jsonrpc_message *message,
                 const struct mcp_envelope *envelope, struct modern_fault *ret);

/* The levels of notifications/message (RFC 5424 §6.2.1), the least urgent first: its rank, or -ENOENT. */
int modern_log_level(struct json_slice level);
