/* UTF-8 (RFC 3629), one character at a time. */
#pragma once

#include "common/macro.h"

/* Bytes of the well-formed sequence at p (1–4), 0 when there is none: overlong forms, surrogates,
 * values beyond U+10FFFF and cut sequences included. p < end. */
static inline size_t utf8_length(const unsigned char *p, const unsigned char *end)
{
        unsigned char lead = p[0];
        size_t n = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;

        if (n < 2)
                return n;
        if ((size_t) (end - p) < n)
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        if ((lead == 0xe0 && p[1] < 0xa0) || (lead == 0xed && p[1] > 0x9f) || (lead == 0xf0 && p[1] < 0x90) ||
            (lead == 0xf4 && p[1] > 0x8f))
                return 0;
        return n;
}

/* The code point of a sequence of n bytes that utf8_length accepted. */
static inline uint32_t utf8_decode(const unsigned char *p, size_t n)
{
        static const unsigned char lead_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
        uint32_t c = p[0] & lead_mask[n];

        for (size_t i = 1; i < n; i++)
                c = c << 6 | (p[i] & 0x3f);
        return c;
}

/* Writes a code point that is not a surrogate; returns the bytes used (1–4). */
static inline size_t utf8_encode(uint32_t c, char dst[static 4])
{
        if (c < 0x80) {
                dst[0] = (char) c;
                return 1;
        }
        size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

        for (size_t i = n - 1; i > 0; i--, c >>= 6)
                dst[i] = (char) (0x80 | (c & 0x3f));
        dst[0] = (char) ((0xf00 >> n & 0xff) | c);
        return n;
}
