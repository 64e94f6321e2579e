/* Reading JSON (RFC 8259) in place: where a value begins and ends, never what it would look like
 * re-serialised. Payload passes verbatim; this finds the few bytes that routing depends on.
 *
 * Strict: control bytes inside strings, duplicate separators, NaN, trailing commas, lone surrogate
 * escapes are accepted only where RFC 8259 does; invalid UTF-8 is refused. Nesting is bounded by
 * JSON_DEPTH_MAX and kept in a bit set, not on the stack. */
#pragma once

#include "common/macro.h"

#define JSON_DEPTH_MAX 128

/* A value inside a larger text; data points at its first byte ('{', '"', digit, …). */
struct json_slice {
        const char *data;
        size_t size;
};

enum json_kind {
        JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT,
};

/* Checks that text is exactly one JSON value with white space around it, and returns the value
 * without that white space. -EBADMSG: not JSON; -ELOOP: nested deeper than JSON_DEPTH_MAX. */
int json_validate(const char *text, size_t size, struct json_slice *ret);

enum json_kind json_slice_type(struct json_slice value); /* of a validated value */

/* The functions below take values that json_validate accepted. */

/* Member `name` of an object: 0; -ENOENT when absent or not an object. The last one wins where a
 * name is repeated (as JavaScript and Python read it). Escapes in member names are decoded. */
int json_get(struct json_slice object, const char *name, struct json_slice *ret);

/* json_get along a path of names, NULL-terminated. */
int json_get_path(struct json_slice value, struct json_slice *ret, ...) _sentinel_;

/* Walks members or elements: *cursor starts at 0. 1: one more in *ret_name (objects only; with its
 * quotes) and *ret_value, 0: the end. */
int json_next(struct json_slice container, size_t *cursor, struct json_slice *ret_name, struct json_slice *ret_value);

/* Decodes a JSON string (quotes included in value) to UTF-8, NUL-terminated, into dst; returns the
 * length. -EINVAL: not a string, or it holds U+0000; -ENAMETOOLONG: does not fit. */
ssize_t json_string_copy(struct json_slice value, char *dst, size_t dst_size);

/* True when value is the JSON string `word`, whatever escapes it uses. */
bool json_string_is(struct json_slice value, const char *word);

/* An integer lexeme without fraction or exponent: 0, -EINVAL (not one), -ERANGE. */
int json_integer(struct json_slice value, int64_t *ret);

/* Replaces CR and LF outside strings by spaces, in place: one message becomes one line. The text
 * must be validated (inside strings raw CR and LF cannot occur). */
void json_blank_newlines(char *text, size_t size);

/* Appends s as a JSON string with quotes to *buf (realloc'ed; *size bytes used, *allocated). */
struct json_writer {
        char *data;
        size_t size, allocated;
        bool failed; /* out of memory: data is unusable, every further call does nothing */
};
void json_writer_raw(struct json_writer *w, const char *bytes, size_t size);
void json_writer_text(struct json_writer *w, const char *text); /* verbatim */
void json_writer_string(struct json_writer *w, const char *utf8); /* quoted and escaped; bad UTF-8 becomes U+FFFD */
void json_writer_string_n(struct json_writer *w, const char *utf8, size_t size);
void json_writer_format(struct json_writer *w, const char *format, ...) _printf_(2, 3);
/* The text (NUL-terminated beyond size), the caller's; -ENOMEM when any call failed. */
int json_writer_finish(struct json_writer *w, char **ret, size_t *ret_size);
void json_writer_done(struct json_writer *w);
