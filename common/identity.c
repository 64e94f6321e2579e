#include "common/identity.h"

#include <md5.h>

static bool key_usable(const char *text)
{
        size_t n = 0;

        for (; text[n]; n++)
                if (text[n] < 0x21 || text[n] > 0x7e)
                        return false;
        return n > 0;
}

static struct json_slice member_or(struct json_slice object, const char *name, const char *otherwise)
{
        struct json_slice value;

        if (json_get(object, name, &value) >= 0)
                return value;
        return (struct json_slice) { otherwise, strlen(otherwise) };
}

/* The object that the predecessors hashed, its keys already in order. */
static int stable_data(struct json_slice client_info, struct json_slice extra, char **ret, size_t *ret_size)
{
        const struct {
                const char *prefix;
                struct json_slice value;
        } parts[] = {
                { "{\"config\":", member_or(extra, "config", "{}") },
                { ",\"name\":", member_or(client_info, "name", "null") },
                { ",\"seed\":", member_or(extra, "seed", "null") },
                { ",\"version\":", member_or(client_info, "version", "null") },
        };
        struct json_writer w = { .failed = false };

        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                json_writer_text(&w, parts[i].prefix);
                json_writer_raw(&w, parts[i].value.data, parts[i].value.size);
        }
        json_writer_text(&w, "}");
        return json_writer_finish(&w, ret, ret_size);
}

static void md5_hex(const char *data, size_t size, char ret[static MD5_DIGEST_STRING_LENGTH])
{
        MD5_CTX context;

        MD5Init(&context);
        MD5Update(&context, (const uint8_t *) data, size);
        MD5End(&context, ret);
}

int identity_from_client_info(struct json_slice client_info, char ret[static IDENTITY_SIZE])
{
        _cleanup_free_ char *data = NULL, *canonical = NULL;
        struct json_slice extra, own;
        char id[IDENTITY_SIZE];
        size_t size;

        if (json_get(client_info, "_extra", &extra) < 0 || json_slice_type(extra) != JSON_OBJECT)
                return -ENOENT;
        if (json_get(extra, "session_id", &own) >= 0 && json_string_copy(own, id, IDENTITY_KEY_MAX + 1) > 0 &&
            key_usable(id)) {
                memcpy(ret, id, strlen(id) + 1);
                return 0;
        }
        int r = stable_data(client_info, extra, &data, &size);

        if (r >= 0)
                r = identity_canonical_json((struct json_slice) { data, size }, &canonical, &size);
        if (r < 0)
                return r;
        md5_hex(canonical, size, ret);
        return 0;
}

int identity_seed(struct json_slice client_info, int64_t *ret)
{
        struct json_slice seed;

        if (json_get_path(client_info, &seed, "_extra", "seed", NULL) >= 0 && json_integer(seed, ret) >= 0)
                return 0;
        if (json_get_path(client_info, &seed, "_extra", "config", "seed", NULL) >= 0 && json_integer(seed, ret) >= 0)
                return 0;
        return -ENOENT;
}
