/* Arguments of a tool that its schema wants repeated in headers (MCP 2026-07-28, Streamable HTTP, "Custom
 * Headers from Tool Parameters"). */
#pragma once

#include "common/http/http.h"
#include "common/json_scan.h"

#define MODERN_PARAM_HEADER_SIZE 140 /* "Mcp-Param-" and a name that somebody could mean */

/* 0 when each annotated argument that is given has its header, and the header says the same; -EINVAL with the
 * first header that does not, and whether it is there at all. schema is the tool's inputSchema; arguments may
 * have size 0. */
int modern_params_check(const struct http_head *head, struct json_slice schema, struct json_slice arguments,
                        char ret_header[static MODERN_PARAM_HEADER_SIZE], bool *ret_is_missing);
