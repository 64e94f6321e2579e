/* Making JSON text: a growing buffer that remembers its first failure, so that callers check once.
 *
 * Commas and brackets are the caller's: json_writer_text(w, "{\"name\":"), json_writer_string(w, name), … */
#pragma once

#include "common/macro.h"

/* Starts as all zeroes. */
struct json_writer {
        char *data;
        size_t size, allocated;
        bool failed; /* out of memory: data is unusable, every further call does nothing */
};

/* Appends bytes verbatim. */
void json_writer_raw(struct json_writer *w, const char *bytes, size_t size);
void json_writer_text(struct json_writer *w, const char *text);
void json_writer_format(struct json_writer *w, const char *format, ...) _printf_(2, 3);

/* Appends a JSON string, quoted and escaped; bad UTF-8 becomes U+FFFD. */
void json_writer_string(struct json_writer *w, const char *utf8);
void json_writer_string_n(struct json_writer *w, const char *utf8, size_t size);

/* Moves the text out (NUL-terminated beyond size), the caller's then, and leaves w empty; -ENOMEM when
 * any call failed. ret_size may be NULL. */
int json_writer_finish(struct json_writer *w, char **ret, size_t *ret_size);

/* Frees what w holds; harmless after json_writer_finish. */
void json_writer_done(struct json_writer *w);
#define _cleanup_json_writer_ _cleanup_(json_writer_done)
