/* What a server answers to `envmux call`, for people. */
#pragma once

#include "common/json_scan.h"

#include <stdio.h>

/* The content of a CallToolResult (MCP 2025-11-25, server/tools): text as it is, other blocks described
 * in one line; structuredContent where there is no content. */
void call_print_result(FILE *file, struct json_slice result);

/* One tool of tools/list: its name, arguments and the first line of its description. */
void call_print_tool(struct json_slice tool);
