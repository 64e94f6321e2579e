/* Reading the event stream of an HTTP+SSE server (MCP 2024-11-05) as it passes by: where its client is to post,
 * and which requests are answered. However long a message is, no more of it is kept than its id. */
#pragma once

#include "worker/id_scan.h"

#define SSE_URI_BYTES_MAX 2048u

enum sse_found {
        SSE_NOTHING,
        SSE_ENDPOINT, /* the event that names the address: reader->uri */
        SSE_RESPONSE, /* a JSON-RPC response: sse_reader_id */
};

enum sse_field { SSE_OTHER, SSE_EVENT, SSE_DATA };

/* Starts as all zeroes. */
struct sse_reader {
        bool has_endpoint;
        char uri[SSE_URI_BYTES_MAX]; /* data of the event that is coming, until has_endpoint; then that of `endpoint` */
        size_t uri_bytes;

        char event[16];              /* of the present event */
        size_t event_bytes;
        struct id_scan scan;
        bool is_over;                /* the event has ended; what comes next begins another */

        enum sse_field field;        /* of the present line */
        char name[8];
        size_t name_bytes, line_bytes;
        bool in_value, after_colon;
        bool after_cr;               /* an LF now belongs to the line end before it */
};

/* Takes bytes up to the end of the next event that is worth telling, or all of them; how many. */
size_t sse_reader_feed(struct sse_reader *reader, const char *bytes, size_t size, enum sse_found *ret_found);

/* The id of the response that was found; in memory of reader, until the next feed. */
struct json_slice sse_reader_id(const struct sse_reader *reader);
