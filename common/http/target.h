/* The parts of an origin-form request target that routing needs (RFC 9112 §3.2.1). */
#pragma once

#include "common/http/http.h"

/* Decodes %XX of one path segment or query value into dst. -EINVAL: bad escape or a decoded NUL;
 * -ENAMETOOLONG: does not fit. plus_is_space for query values. */
int target_decode(struct http_slice encoded, bool plus_is_space, char *dst, size_t dst_size);

/* Splits "/a/b?q" into path and query (without '?'; empty when none). */
void target_split(struct http_slice target, struct http_slice *ret_path, struct http_slice *ret_query);

/* Takes the next segment off path: "/a/b" gives "a" and leaves "/b". False when no segment is left. */
bool target_next_segment(struct http_slice *path, struct http_slice *ret_segment);

/* Value of the first parameter `name` of a query, still encoded: 0 or -ENOENT. */
int target_query_get(struct http_slice query, const char *name, struct http_slice *ret);
