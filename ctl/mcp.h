/* A client of the Model Context Protocol over Streamable HTTP (revision 2025-11-25, transports), as
 * much as one tool call needs. Failures are told to the user here. */
#pragma once

#include "common/ipc.h"
#include "common/json_scan.h"
#include "ctl/ctl.h"

#include <netinet/in.h>

/* Where the MCP endpoint is. */
struct mcp_endpoint {
        char address[INET6_ADDRSTRLEN]; /* numeric */
        uint16_t port;
        char host[300];                 /* the Host header */
        char *target;                   /* path and query */
};

struct mcp {
        struct mcp_endpoint endpoint;
        usec_t timeout_usec;            /* per request */
        char transport_id[IPC_KEY_SIZE]; /* Mcp-Session-Id; "" where the server gave none */
        char version[32];               /* as negotiated; "" before */
        unsigned last_id;
};

/* The answer to a request; exactly one of result and error is set. */
struct mcp_answer {
        char *text;
        struct json_slice result, error;
};

/* Parses "http://HOST:PORT/PATH"; HOST is numeric or "localhost". -EINVAL. */
int mcp_endpoint_parse(const char *url, struct mcp_endpoint *ret);

/* The functions below return CTL_OK, or the exit status after saying what went wrong. */

/* initialize and notifications/initialized. */
int mcp_open(struct mcp *mcp);
/* One request; params is emptied, NULL: none. A JSON-RPC error is an answer. */
int mcp_request(struct mcp *mcp, const char *method, struct json_writer *params, struct mcp_answer *ret);
/* Says what a JSON-RPC error means, with what envmux adds to it. Returns CTL_FAILED. */
int mcp_explain(struct json_slice error);
/* DELETE of the session. */
void mcp_close(struct mcp *mcp);
void mcp_done(struct mcp *mcp);
void mcp_answer_done(struct mcp_answer *answer);
