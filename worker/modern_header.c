#include "worker/modern_header.h"

#include "common/utf8.h"

#define BEFORE "=?base64?"
#define BEHIND "?="
#define NUMBER_BYTES_MAX 400u /* a longer decimal is compared by its text alone */

static bool is_encoded(struct http_slice value)
{
        size_t before = strlen(BEFORE), behind = strlen(BEHIND);

        return value.size >= before + behind && memcmp(value.data, BEFORE, before) == 0 &&
               memcmp(value.data + value.size - behind, BEHIND, behind) == 0;
}

/* 0–63; 64 for what is no digit of base64. */
static unsigned digit(char byte)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *at = byte ? strchr(digits, byte) : NULL;

        return at ? (unsigned) (at - digits) : 64;
}

/* RFC 4648 §4 with its padding. Bytes written to out, which has room for three of every four. */
static ssize_t base64_decode(const char *text, size_t size, char *out)
{
        size_t n = 0;

        if (size % 4 > 0)
                return -EBADMSG;
        for (size_t i = 0; i < size; i += 4) {
                bool is_last = i + 4 == size;
                unsigned padding = !is_last || text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
                uint32_t bits = 0;

                for (size_t k = 0; k < 4; k++) {
                        unsigned value = k >= 4 - padding ? 0 : digit(text[i + k]);

                        if (value == 64)
                                return -EBADMSG;
                        bits = bits << 6 | value;
                }
                for (size_t k = 0; k < 3 - padding; k++)
                        out[n++] = (char) (bits >> (16 - 8 * k));
        }
        return (ssize_t) n;
}

static bool is_utf8(const char *text, size_t size)
{
        const unsigned char *at = (const unsigned char *) text, *end = at + size;

        while (at < end) {
                size_t n = utf8_length(at, end);

                if (n == 0)
                        return false;
                at += n;
        }
        return true;
}

static bool is_plain(struct http_slice value)
{
        for (size_t i = 0; i < value.size; i++)
                if (value.data[i] != '\t' && (value.data[i] < 0x20 || value.data[i] > 0x7e))
                        return false;
        return true;
}

int modern_header_decode(struct http_slice value, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *text = malloc(value.size + 1);
        ssize_t size = (ssize_t) value.size;

        if (!text)
                return -ENOMEM;
        if (is_encoded(value)) {
                size = base64_decode(value.data + strlen(BEFORE), value.size - strlen(BEFORE) - strlen(BEHIND), text);
                if (size < 0 || !is_utf8(text, (size_t) size))
                        return -EBADMSG;
        } else if (is_plain(value)) {
                memcpy(text, value.data, value.size);
        } else {
                return -EBADMSG;
        }
        text[size] = '\0';
        *ret = TAKE_PTR(text);
        *ret_size = (size_t) size;
        return 0;
}

bool modern_header_is_string(const char *text, size_t size, struct json_slice string)
{
        size_t cursor = 0, at = 0;
        uint32_t character;

        if (json_slice_type(string) != JSON_STRING)
                return false;
        while (json_string_next(string, &cursor, &character) > 0) {
                char bytes[4];

                if (character >= 0xd800 && character < 0xe000)
                        return false; /* a lone surrogate, which no header can carry */
                size_t n = utf8_encode(character, bytes);

                if (size - at < n || memcmp(text + at, bytes, n) != 0)
                        return false;
                at += n;
        }
        return at == size;
}

/* -?digits[.digits] */
static bool is_decimal(const char *text)
{
        size_t whole, fraction;

        text += *text == '-';
        whole = strspn(text, "0123456789");
        if (whole == 0 || text[whole] == '\0')
                return whole > 0;
        if (text[whole] != '.')
                return false;
        fraction = strspn(text + whole + 1, "0123456789");
        return fraction > 0 && text[whole + 1 + fraction] == '\0';
}

static bool number_fits(const char *text, size_t size, struct json_slice body)
{
        char number[NUMBER_BYTES_MAX + 1];

        if (size == body.size && memcmp(text, body.data, size) == 0)
                return true;
        if (body.size > NUMBER_BYTES_MAX || !is_decimal(text))
                return false;
        memcpy(number, body.data, body.size);
        number[body.size] = '\0';
        return strtod(text, NULL) == strtod(number, NULL);
}

bool modern_header_fits(struct http_slice value, struct json_slice body)
{
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (modern_header_decode(value, &text, &size) < 0)
                return false;
        switch (json_slice_type(body)) {
        case JSON_STRING:
                return modern_header_is_string(text, size, body);
        case JSON_NUMBER:
                return number_fits(text, size, body);
        case JSON_BOOL:
                return size == body.size && memcmp(text, body.data, size) == 0;
        case JSON_NULL:
        case JSON_ARRAY:
        case JSON_OBJECT:
                break;
        }
        return false;
}
