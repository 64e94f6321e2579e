#include "common/http/target.h"

static int hex_value(char digit)
{
        if (digit >= '0' && digit <= '9')
                return digit - '0';
        if (digit >= 'a' && digit <= 'f')
                return digit - 'a' + 10;
        if (digit >= 'A' && digit <= 'F')
                return digit - 'A' + 10;
        return -1;
}

int target_decode(struct http_slice encoded, bool plus_is_space, char *dst, size_t dst_size)
{
        size_t n = 0;

        for (size_t i = 0; i < encoded.size; i++) {
                char byte = encoded.data[i];

                if (byte == '%') {
                        int high = i + 2 < encoded.size ? hex_value(encoded.data[i + 1]) : -1;
                        int low = high >= 0 ? hex_value(encoded.data[i + 2]) : -1;

                        if (low < 0)
                                return -EINVAL;
                        byte = (char) (high << 4 | low);
                        i += 2;
                } else if (byte == '+' && plus_is_space) {
                        byte = ' ';
                }
                if (byte == '\0')
                        return -EINVAL;
                if (n + 1 >= dst_size)
                        return -ENAMETOOLONG;
                dst[n++] = byte;
        }
        if (dst_size == 0)
                return -ENAMETOOLONG;
        dst[n] = '\0';
        return 0;
}

void target_split(struct http_slice target, struct http_slice *ret_path, struct http_slice *ret_query)
{
        const char *mark = target.size > 0 ? memchr(target.data, '?', target.size) : NULL;
        size_t path_size = mark ? (size_t) (mark - target.data) : target.size;
        const char *end = target.data + target.size;

        *ret_path = (struct http_slice) { target.data, path_size };
        *ret_query = mark ? (struct http_slice) { mark + 1, (size_t) (end - mark - 1) } : (struct http_slice) { end, 0 };
}

bool target_next_segment(struct http_slice *path, struct http_slice *ret_segment)
{
        if (path->size == 0 || path->data[0] != '/')
                return false;
        struct http_slice rest = { path->data + 1, path->size - 1 };
        const char *slash = rest.size > 0 ? memchr(rest.data, '/', rest.size) : NULL;
        size_t size = slash ? (size_t) (slash - rest.data) : rest.size;

        *ret_segment = (struct http_slice) { rest.data, size };
        *path = (struct http_slice) { rest.data + size, rest.size - size };
        return true;
}

int target_query_get(struct http_slice query, const char *name, struct http_slice *ret)
{
        size_t name_size = strlen(name);

        while (query.size > 0) {
                const char *ampersand = memchr(query.data, '&', query.size);
                struct http_slice pair = { query.data, ampersand ? (size_t) (ampersand - query.data) : query.size };
                size_t used = MIN_OF(pair.size + 1, query.size);

                if (pair.size >= name_size && memcmp(pair.data, name, name_size) == 0) {
                        if (pair.size == name_size) {
                                *ret = (struct http_slice) { pair.data + pair.size, 0 };
                                return 0;
                        }
                        if (pair.data[name_size] == '=') {
                                *ret = (struct http_slice) { pair.data + name_size + 1, pair.size - name_size - 1 };
                                return 0;
                        }
                }
                query.data += used;
                query.size -= used;
        }
        return -ENOENT;
}
