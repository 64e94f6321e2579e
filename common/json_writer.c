#include "common/json_writer.h"

#include "common/utf8.h"

#include <stdarg.h>
#include <stdio.h>

#define FIRST_ALLOCATION 256

/* Room for size more bytes and a NUL. */
static bool reserve(struct json_writer *w, size_t size)
{
        size_t needed, allocated = MAX_OF(w->allocated, (size_t) FIRST_ALLOCATION);

        if (w->failed || __builtin_add_overflow(w->size + 1, size, &needed)) {
                w->failed = true;
                return false;
        }
        if (needed <= w->allocated)
                return true;
        while (allocated < needed)
                if (__builtin_mul_overflow(allocated, 2, &allocated))
                        allocated = needed;
        char *data = realloc(w->data, allocated);

        if (!data) {
                w->failed = true;
                return false;
        }
        w->data = data;
        w->allocated = allocated;
        return true;
}

void json_writer_raw(struct json_writer *w, const char *bytes, size_t size)
{
        if (size == 0 || !reserve(w, size))
                return;
        memcpy(w->data + w->size, bytes, size);
        w->size += size;
}

void json_writer_text(struct json_writer *w, const char *text)
{
        json_writer_raw(w, text, strlen(text));
}

void json_writer_format(struct json_writer *w, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        int n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0) {
                text = NULL;
                w->failed = true;
                return;
        }
        json_writer_raw(w, text, (size_t) n);
}

/* An ASCII character that a JSON string cannot hold as it is. */
static void write_escaped(struct json_writer *w, unsigned char c)
{
        static const char meant[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
        const char *at = c ? strchr(meant, c) : NULL;

        if (at)
                json_writer_raw(w, (const char[]) { '\\', letters[at - meant] }, 2);
        else
                json_writer_format(w, "\\u%04x", c);
}

void json_writer_string_n(struct json_writer *w, const char *utf8, size_t size)
{
        const unsigned char *p = (const unsigned char *) utf8, *end = p + size, *plain = p;

        json_writer_raw(w, "\"", 1);
        while (p < end) {
                size_t n = utf8_length(p, end);
                bool escape = *p < 0x20 || *p == '"' || *p == '\\';

                if (n > 0 && !escape) {
                        p += n;
                        continue;
                }
                json_writer_raw(w, (const char *) plain, (size_t) (p - plain));
                if (n == 0)
                        json_writer_text(w, "\xef\xbf\xbd");
                else
                        write_escaped(w, *p);
                plain = ++p;
        }
        json_writer_raw(w, (const char *) plain, (size_t) (p - plain));
        json_writer_raw(w, "\"", 1);
}

void json_writer_string(struct json_writer *w, const char *utf8)
{
        json_writer_string_n(w, utf8, strlen(utf8));
}

int json_writer_finish(struct json_writer *w, char **ret, size_t *ret_size)
{
        if (!reserve(w, 0)) {
                json_writer_done(w);
                return -ENOMEM;
        }
        w->data[w->size] = '\0';
        if (ret_size)
                *ret_size = w->size;
        *ret = TAKE_PTR(w->data);
        json_writer_done(w);
        return 0;
}

void json_writer_done(struct json_writer *w)
{
        free(w->data);
        *w = (struct json_writer) { .failed = false };
}
