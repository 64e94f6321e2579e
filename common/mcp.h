/* What both router and worker must agree on about a message: its era. "Modern" is MCP 2026-07-28 and
 * later, where every request stands alone and says in params._meta what it is; "legacy" is what has
 * `initialize`. */
#pragma once

#include "common/http/http.h"
#include "common/jsonrpc.h"

#define MCP_MODERN "2026-07-28" /* the modern revision spoken here */
#define MCP_META_PREFIX "io.modelcontextprotocol/"

/* Revisions spoken here, oldest first; NULL-terminated. */
extern const char *const mcp_legacy_versions[];

/* version has the form of a revision (YYYY-MM-DD) and is MCP_MODERN or later. */
bool mcp_version_is_modern(const char *version, size_t size);

/* Whether the request says in MCP-Protocol-Version that it is modern. */
bool mcp_head_is_modern(const struct http_head *head);

/* What params._meta of a modern request says (MCP 2026-07-28, "Request metadata"). Slices point into
 * the message; size 0: absent. */
struct mcp_envelope {
        struct json_slice meta;
        struct json_slice version, client_info, client_capabilities, log_level; /* …/protocolVersion, … */
};

void mcp_envelope_read(const struct jsonrpc_message *message, struct mcp_envelope *ret);

/* What a POST with this head and body is. The body decides, so that proxies that strip headers do no
 * harm; where the body claims nothing, the header does. A body that cannot be parsed is what its head says.
 *
 *   initialize that does not itself claim a modern revision   legacy
 *   params._meta["io.modelcontextprotocol/protocolVersion"]   modern, whatever it says
 *   a modern MCP-Protocol-Version on any request or notification   modern
 *   anything else                                             legacy
 *
 * Whether the claim is complete and agrees with the head is the worker's to check. */
bool mcp_is_modern(const struct http_head *head, const struct jsonrpc_message *message);
