#include "common/json_scan.h"

#include "common/utf8.h"

#include <endian.h>

struct scanner {
        const unsigned char *p, *end;
        unsigned depth;
        uint64_t is_object[JSON_DEPTH_MAX / 64]; /* bit i: the container at depth i is an object */
};

static void skip_space(struct scanner *s)
{
        while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
                s->p++;
}

/* How many of the eight bytes at p come before the first that ends a run of plain ASCII: a quote, a
 * backslash, a control byte or the start of a multi-byte character. Each term lifts the top bit of such
 * a byte; a borrow can only disturb bytes behind one, so that the lowest lifted bit is always true. */
static size_t plain_run(const unsigned char *p)
{
        const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
        uint64_t word;

        memcpy(&word, p, sizeof(word));
        word = le64toh(word);
        uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
        uint64_t hits = (word | (word - ones * 0x20) | (quote - ones) | (backslash - ones)) & tops;

        return hits ? (size_t) __builtin_ctzll(hits) / 8 : 8;
}

static bool is_hex(unsigned char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind a backslash. */
static int scan_escape(struct scanner *s)
{
        if (s->p == s->end)
                return -EBADMSG;
        unsigned char c = *s->p++;

        if (c != 'u')
                return c != '\0' && strchr("\"\\/bfnrt", c) ? 0 : -EBADMSG;
        if (s->end - s->p < 4)
                return -EBADMSG;
        for (int i = 0; i < 4; i++)
                if (!is_hex(*s->p++))
                        return -EBADMSG;
        return 0;
}

/* At the opening quote; ends behind the closing one. */
static int scan_string(struct scanner *s)
{
        s->p++;
        for (;;) {
                while (s->end - s->p >= 8) {
                        size_t n = plain_run(s->p);

                        s->p += n;
                        if (n < 8)
                                break;
                }
                if (s->p == s->end)
                        return -EBADMSG;
                unsigned char c = *s->p;

                if (c == '"') {
                        s->p++;
                        return 0;
                }
                if (c == '\\') {
                        s->p++;
                        int r = scan_escape(s);

                        if (r < 0)
                                return r;
                } else {
                        size_t n = c < 0x20 ? 0 : utf8_length(s->p, s->end);

                        if (n == 0)
                                return -EBADMSG;
                        s->p += n;
                }
        }
}

static int scan_digits(struct scanner *s)
{
        const unsigned char *start = s->p;

        while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
                s->p++;
        return s->p > start ? 0 : -EBADMSG;
}

/* RFC 8259 §6. */
static int scan_number(struct scanner *s)
{
        if (*s->p == '-')
                s->p++;
        if (s->p < s->end && *s->p == '0')
                s->p++;
        else if (scan_digits(s) < 0)
                return -EBADMSG;
        if (s->p < s->end && *s->p == '.') {
                s->p++;
                if (scan_digits(s) < 0)
                        return -EBADMSG;
        }
        if (s->p < s->end && (*s->p | 0x20) == 'e') {
                s->p++;
                if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
                        s->p++;
                return scan_digits(s);
        }
        return 0;
}

static int scan_word(struct scanner *s, const char *word)
{
        size_t n = strlen(word);

        if ((size_t) (s->end - s->p) < n || memcmp(s->p, word, n) != 0)
                return -EBADMSG;
        s->p += n;
        return 0;
}

static bool in_object(const struct scanner *s)
{
        return s->is_object[(s->depth - 1) / 64] >> (s->depth - 1) % 64 & 1;
}

/* A member's name and colon, where the current container is an object; nothing in an array. */
static int scan_name(struct scanner *s)
{
        skip_space(s);
        if (!in_object(s))
                return 0;
        if (s->p == s->end || *s->p != '"')
                return -EBADMSG;
        int r = scan_string(s);

        if (r < 0)
                return r;
        skip_space(s);
        if (s->p == s->end || *s->p != ':')
                return -EBADMSG;
        s->p++;
        return 0;
}

/* Enters a container. 1: its first value follows; 0: it was empty and is behind us. */
static int scan_open(struct scanner *s)
{
        bool object = *s->p++ == '{';

        if (s->depth == JSON_DEPTH_MAX)
                return -ELOOP;
        uint64_t bit = UINT64_C(1) << s->depth % 64, *set = &s->is_object[s->depth / 64];

        *set = object ? *set | bit : *set & ~bit;
        s->depth++;
        skip_space(s);
        if (s->p < s->end && *s->p == (object ? '}' : ']')) {
                s->p++;
                s->depth--;
                return 0;
        }
        int r = scan_name(s);

        return r < 0 ? r : 1;
}

/* Behind a value: leaves every container that ends here. 1: another value follows; 0: the end. */
static int scan_close(struct scanner *s)
{
        while (s->depth > 0) {
                skip_space(s);
                if (s->p == s->end)
                        return -EBADMSG;
                unsigned char c = *s->p++;

                if (c == ',') {
                        int r = scan_name(s);

                        return r < 0 ? r : 1;
                }
                if (c != (in_object(s) ? '}' : ']'))
                        return -EBADMSG;
                s->depth--;
        }
        return 0;
}

/* 1: a container was entered and its first value follows; 0: a whole value is behind us. */
static int scan_start(struct scanner *s)
{
        skip_space(s);
        if (s->p == s->end)
                return -EBADMSG;
        switch (*s->p) {
        case '{':
        case '[':
                return scan_open(s);
        case '"':
                return scan_string(s);
        case 't':
                return scan_word(s, "true");
        case 'f':
                return scan_word(s, "false");
        case 'n':
                return scan_word(s, "null");
        default:
                return scan_number(s);
        }
}

int json_validate(const char *text, size_t size, struct json_slice *ret)
{
        const unsigned char *bytes = (const unsigned char *) text;
        struct scanner s = { .p = bytes, .end = bytes + size };
        int r;

        skip_space(&s);
        const unsigned char *start = s.p;

        do {
                r = scan_start(&s);
                if (r == 0)
                        r = scan_close(&s);
        } while (r > 0);
        if (r < 0)
                return r;
        const unsigned char *behind = s.p;

        skip_space(&s);
        if (s.p != s.end)
                return -EBADMSG;
        *ret = (struct json_slice) { (const char *) start, (size_t) (behind - start) };
        return 0;
}
