/* Answers that envmux gives itself, in the form the asker can read. */
#pragma once

#include "common/http/http.h"
#include "common/json_scan.h"
#include "common/reason.h"

enum answer_form {
        ANSWER_JSONRPC, /* a JSON-RPC error object; MCP endpoints */
        ANSWER_PLAIN,   /* {"error": sentence, "envmux": {…}}; everything else */
};

/* Answers conn's current request with f and ends the message. status 0 is the reason's own; then, in
 * JSON-RPC form and where id names the request, 503 becomes 200: a 5xx destroys the official Python
 * client. allow, or NULL, becomes an Allow header. id.size 0: not known. origin: cors_add_headers. */
void answer_failure(struct http_conn *conn, enum answer_form form, unsigned status, const struct failure *f,
                    struct json_slice id, const char *allow, struct http_slice origin);

/* Answers a violation of HTTP that the engine found; status as http_conn_ops.on_error has it. False
 * when no reason of ours covers the status: the engine's own answer is left to it. */
bool answer_http_error(struct http_conn *conn, unsigned status, const char *why, struct http_slice origin);
