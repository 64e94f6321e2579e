/* JSON strings (RFC 8259 §7) as the characters they stand for. */
#include "common/json_scan.h"

#include "common/utf8.h"

#define SURROGATES_PER_PLANE 0x400u

static bool is_high_surrogate(uint32_t c)
{
        return c >= 0xd800 && c < 0xdc00;
}

static bool is_low_surrogate(uint32_t c)
{
        return c >= 0xdc00 && c < 0xe000;
}

/* The four hex digits at p. */
static uint32_t hex4(const char *p)
{
        uint32_t c = 0;

        for (int i = 0; i < 4; i++) {
                uint32_t digit = (unsigned char) p[i];

                c = c << 4 | (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
        }
        return c;
}

/* The character of the escape at p (its backslash), whose bytes are counted in *ret_size. */
static uint32_t decode_escape(const char *p, const char *end, size_t *ret_size)
{
        static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";

        if (p[1] != 'u') {
                const char *letter = strchr(letters, p[1]);

                *ret_size = 2;
                return (unsigned char) (letter ? meant[letter - letters] : p[1]);
        }
        uint32_t c = hex4(p + 2);

        *ret_size = 6;
        if (is_high_surrogate(c) && end - p >= 12 && p[6] == '\\' && p[7] == 'u' && is_low_surrogate(hex4(p + 8))) {
                *ret_size = 12;
                c = 0x10000 + (c - 0xd800) * SURROGATES_PER_PLANE + (hex4(p + 8) - 0xdc00);
        }
        return c;
}

int json_string_next(struct json_slice value, size_t *cursor, uint32_t *ret_char)
{
        if (value.size < 2 || value.data[0] != '"')
                return 0;
        const char *p = value.data + MAX_OF(*cursor, (size_t) 1), *end = value.data + value.size - 1;
        size_t n;

        if (p >= end)
                return 0;
        if (*p == '\\') {
                *ret_char = decode_escape(p, end, &n);
        } else {
                n = utf8_length((const unsigned char *) p, (const unsigned char *) end);
                *ret_char = utf8_decode((const unsigned char *) p, n);
        }
        *cursor = (size_t) (p - value.data) + n;
        return 1;
}

int json_string_compare(struct json_slice a, struct json_slice b)
{
        size_t at_a = 0, at_b = 0;
        uint32_t in_a, in_b;

        for (;;) {
                int more_a = json_string_next(a, &at_a, &in_a), more_b = json_string_next(b, &at_b, &in_b);

                if (!more_a || !more_b)
                        return more_a - more_b;
                if (in_a != in_b)
                        return in_a < in_b ? -1 : 1;
        }
}

ssize_t json_string_copy(struct json_slice value, char *dst, size_t dst_size)
{
        size_t cursor = 0, size = 0;
        uint32_t c;

        if (json_slice_type(value) != JSON_STRING)
                return -EINVAL;
        while (json_string_next(value, &cursor, &c) > 0) {
                char bytes[4];

                if (c == 0 || is_high_surrogate(c) || is_low_surrogate(c))
                        return -EINVAL;
                size_t n = utf8_encode(c, bytes);

                if (size + n >= dst_size)
                        return -ENAMETOOLONG;
                memcpy(dst + size, bytes, n);
                size += n;
        }
        if (size >= dst_size)
                return -ENAMETOOLONG;
        dst[size] = '\0';
        return (ssize_t) size;
}

bool json_string_is(struct json_slice value, const char *word)
{
        if (json_slice_type(value) != JSON_STRING)
                return false;
        size_t size = strlen(word);

        if (!memchr(value.data, '\\', value.size)) /* most names and words are written plainly */
                return value.size == size + 2 && memcmp(value.data + 1, word, size) == 0;
        const unsigned char *p = (const unsigned char *) word, *end = p + size;
        size_t cursor = 0;
        uint32_t c;

        while (json_string_next(value, &cursor, &c) > 0) {
                size_t n = p < end ? utf8_length(p, end) : 0;

                if (n == 0 || utf8_decode(p, n) != c)
                        return false;
                p += n;
        }
        return p == end;
}
