/* Finding one's way in text that json_validate accepted: structure is trusted, bounds are not. */
#include "common/json_scan.h"

#include <stdarg.h>

enum json_kind json_slice_type(struct json_slice value)
{
        switch (value.size > 0 ? value.data[0] : 'n') {
        case '{':
                return JSON_OBJECT;
        case '[':
                return JSON_ARRAY;
        case '"':
                return JSON_STRING;
        case 't':
        case 'f':
                return JSON_BOOL;
        case 'n':
                return JSON_NULL;
        default:
                return JSON_NUMBER;
        }
}

static const char *skip_separators(const char *p, const char *end)
{
        while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t' || *p == ',' || *p == ':'))
                p++;
        return p;
}

/* Behind the string that begins at p. */
static const char *skip_string(const char *p, const char *end)
{
        for (const char *from = p + 1; from < end;) {
                const char *quote = memchr(from, '"', (size_t) (end - from));

                if (!quote)
                        break;
                size_t n_backslashes = 0;

                while (quote[-1 - (ptrdiff_t) n_backslashes] == '\\')
                        n_backslashes++;
                if (n_backslashes % 2 == 0)
                        return quote + 1;
                from = quote + 1;
        }
        return end;
}

static const char *skip_container(const char *p, const char *end)
{
        /* How these bytes change the nesting; 2: a string begins. */
        static const signed char structural[256] = { ['"'] = 2, ['{'] = 1, ['['] = 1, ['}'] = -1, [']'] = -1 };
        int depth = 0;

        while (p < end) {
                int change = structural[(unsigned char) *p];

                if (change == 2) {
                        p = skip_string(p, end);
                        continue;
                }
                depth += change;
                p++;
                if (change < 0 && depth == 0)
                        return p;
        }
        return end;
}

static const char *skip_value(const char *p, const char *end)
{
        if (*p == '"')
                return skip_string(p, end);
        if (*p == '{' || *p == '[')
                return skip_container(p, end);
        while (p < end && *p > ' ' && *p != ',' && *p != '}' && *p != ']')
                p++;
        return p;
}

/* The token at *p, which moves behind it. */
static struct json_slice take_value(const char **p, const char *end)
{
        const char *start = *p;

        *p = skip_value(start, end);
        return (struct json_slice) { start, (size_t) (*p - start) };
}

int json_next(struct json_slice container, size_t *cursor, struct json_slice *ret_name, struct json_slice *ret_value)
{
        enum json_kind type = json_slice_type(container);

        if (type != JSON_OBJECT && type != JSON_ARRAY)
                return 0;
        const char *end = container.data + container.size - 1; /* the closing bracket */
        const char *p = skip_separators(container.data + MAX_OF(*cursor, (size_t) 1), end);

        if (p >= end)
                return 0;
        if (type == JSON_OBJECT) {
                struct json_slice name = take_value(&p, end);

                if (ret_name)
                        *ret_name = name;
                p = skip_separators(p, end);
        }
        *ret_value = take_value(&p, end);
        *cursor = (size_t) (p - container.data);
        return 1;
}

int json_get(struct json_slice object, const char *name, struct json_slice *ret)
{
        struct json_slice member, value;
        size_t cursor = 0;
        int r = -ENOENT;

        if (json_slice_type(object) != JSON_OBJECT)
                return -ENOENT;
        while (json_next(object, &cursor, &member, &value) > 0)
                if (json_string_is(member, name)) {
                        *ret = value;
                        r = 0;
                }
        return r;
}

int json_get_path(struct json_slice value, struct json_slice *ret, ...)
{
        const char *name;
        va_list names;
        int r = 0;

        va_start(names, ret);
        while (r >= 0 && (name = va_arg(names, const char *)))
                r = json_get(value, name, &value);
        va_end(names);
        if (r < 0)
                return r;
        *ret = value;
        return 0;
}

int json_integer(struct json_slice value, int64_t *ret)
{
        bool negative = value.size > 0 && value.data[0] == '-';
        int64_t n = 0;

        if (json_slice_type(value) != JSON_NUMBER)
                return -EINVAL;
        for (size_t i = negative; i < value.size; i++) {
                int digit = value.data[i] - '0';

                if (digit < 0 || digit > 9)
                        return -EINVAL;
        }
        /* Counted downwards, because INT64_MIN has no positive twin. */
        for (size_t i = negative; i < value.size; i++)
                if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, value.data[i] - '0', &n))
                        return -ERANGE;
        if (!negative && n == INT64_MIN)
                return -ERANGE;
        *ret = negative ? n : -n;
        return 0;
}

void json_blank_newlines(char *text, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (text[i] == '\n' || text[i] == '\r')
                        text[i] = ' ';
}
