/* What llhttp leaves to us, and second opinions where a disagreement could be smuggled through:
 * the lines of the raw head, framing headers, Host, the form of the target. */
#pragma once

#include "common/http/http.h"

/* Completes head (method, host, framing, keep_alive, …) from its headers and the raw head, which
 * begins at the start line and ends with the blank line. 0, or the status to refuse it with and why. */
unsigned http_check_request(struct http_head *head, struct http_slice raw, const char **ret_why);
unsigned http_check_response(struct http_head *head, struct http_slice raw, bool is_bodiless, const char **ret_why);

/* Stores why; returns status: `return http_check_refuse(400, "…", ret_why);`. */
unsigned http_check_refuse(unsigned status, const char *why, const char **ret_why);

/* A token of RFC 9110 §5.6.2: a header name, a method. */
bool http_slice_is_token(struct http_slice slice);

/* Fit for a header value: visible, space, tab and obs-text bytes only. */
bool http_slice_is_text(struct http_slice slice);
