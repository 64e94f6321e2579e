/* The protocol side of a small MCP server over standard input and output, one message a line: framing,
 * the handshake of revisions 2024-11-05 to 2025-11-25, dispatch by a table, errors. */
#pragma once

#include "common/jsonrpc.h"

#define MCP_METHOD_NOT_FOUND (-32601)
#define MCP_INVALID_PARAMS (-32602)
#define MCP_RESOURCE_NOT_FOUND (-32002)

/* What a handler says when it answers with an error. */
struct mcp_error {
        int code;
        char message[256];
};

/* Answers one request: writes the result object and returns 0, or fills *ret_error and returns
 * -EREMOTEIO. params has size 0 when there were none. */
typedef int (*mcp_method_fn)(void *userdata, struct json_slice params, struct json_writer *result,
                             struct mcp_error *ret_error);

struct mcp_server {
        const char *capabilities; /* JSON object */
        const char *name, *version;
        const struct mcp_method {
                const char *name;
                mcp_method_fn fn;
        } *methods;               /* ends with an empty name */
        /* Called once, with the params of the first initialize, before it is answered. */
        int (*on_initialize)(void *userdata, struct json_slice params, struct mcp_error *ret_error);
        void *userdata;
        bool is_initialized;
};

/* Fills *ret and returns -EREMOTEIO. */
int mcp_error_set(struct mcp_error *ret, int code, const char *format, ...) _printf_(3, 4);

/* Answers what comes in on fd_in until it ends (0) or reading or writing fails. */
int mcp_stdio_run(struct mcp_server *server, int fd_in, int fd_out);
