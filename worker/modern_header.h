/* Headers that repeat what a modern request's body says, so that whoever stands between need not read the
 * body (MCP 2026-07-28, Streamable HTTP, "Request Metadata"). */
#pragma once

#include "common/http/http.h"
#include "common/json_scan.h"

/* The value as it is meant: what stands between =?base64? and ?= is decoded, anything else is copied. *ret is
 * the caller's, NUL-terminated beyond *ret_size. -EBADMSG: neither visible ASCII nor canonical base64 of UTF-8. */
int modern_header_decode(struct http_slice value, char **ret, size_t *ret_size);

/* Whether text is what the JSON string says. */
bool modern_header_is_string(const char *text, size_t size, struct json_slice string);

/* Whether the header repeats a string, number or boolean of the body ("Value Encoding"); numbers by their
 * value where the header is a plain decimal. */
bool modern_header_fits(struct http_slice value, struct json_slice body);
