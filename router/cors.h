/* Cross-origin requests of web pages (Fetch standard, "CORS protocol"): what a browser must hear so that a
 * page whose Origin the guard lets in may ask, and read the answer. Other Origins never come this far, and
 * requests without one are no page's. */
#pragma once

#include "common/http/http.h"

/* The question a browser asks before the request itself. */
bool cors_is_preflight(const struct http_head *head);

/* Answers it and ends the message. methods: as an Allow header lists them, NULL: any. session_header is one
 * that a page may send beside those of MCP. */
void cors_answer_preflight(struct http_conn *conn, const struct http_head *head, struct http_slice origin,
                           const char *methods, const char *session_header);

/* What every answer to such a page has, between http_conn_start_response and http_conn_begin_body. origin.size
 * 0: not for a page, nothing is added. */
void cors_add_headers(struct http_conn *conn, struct http_slice origin);

/* True for a header of a relayed answer that the router says in its place. */
bool cors_is_ours(const struct http_header *header);

/* Which of the headers that a page asks to send it may: a list for Access-Control-Allow-Headers. What does not
 * fit into dst is not allowed. */
void cors_allowed_headers(struct http_slice asked, const char *session_header, char *dst, size_t dst_size);
