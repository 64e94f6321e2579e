/* Reading JSON (RFC 8259) in place: where a value begins and ends, never what it would look like
 * re-serialised. Payload passes verbatim; this finds the few bytes that routing depends on.
 *
 * Strict: control bytes inside strings, NaN, trailing commas and whatever else the grammar of RFC 8259
 * leaves out are refused, and so is invalid UTF-8; lone surrogate escapes are in the grammar (§8.2) and
 * pass. Nesting is bounded by JSON_DEPTH_MAX and kept in a bit set, not on the stack. */
#pragma once

#include "common/json_writer.h"
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

/* Steps through the characters of a JSON string: *cursor starts at 0. 1: one more in *ret_char, a code
 * point (a lone surrogate escape gives the surrogate itself), 0: the end or not a string. */
int json_string_next(struct json_slice value, size_t *cursor, uint32_t *ret_char);

/* Orders two JSON strings by code point, as strcmp does bytes. */
int json_string_compare(struct json_slice a, struct json_slice b);

/* Decodes a JSON string (quotes included in value) to UTF-8, NUL-terminated, into dst; returns the
 * length. -EINVAL: not a string, or it holds U+0000 or a lone surrogate, which no UTF-8 text can;
 * -ENAMETOOLONG: does not fit. The decoded text is never longer than value. */
ssize_t json_string_copy(struct json_slice value, char *dst, size_t dst_size);

/* True when value is the JSON string `word`, whatever escapes it uses. */
bool json_string_is(struct json_slice value, const char *word);

/* An integer lexeme without fraction or exponent: 0, -EINVAL (not one), -ERANGE. */
int json_integer(struct json_slice value, int64_t *ret);

/* Replaces CR and LF outside strings by spaces, in place: one message becomes one line. The text
 * must be validated (inside strings raw CR and LF cannot occur). */
void json_blank_newlines(char *text, size_t size);
