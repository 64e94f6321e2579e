/* Whatever json_validate accepts can be walked, decoded and made canonical, and stays JSON. */
#include "common/identity.h"
#include "common/jsonrpc.h"
#include "tests/fuzz/fuzz.h"

/* Every child is inside its parent and is valid by itself; walks along the first child of each. */
static void walk(struct json_slice value)
{
        for (size_t depth = 0; depth <= JSON_DEPTH_MAX; depth++) {
                struct json_slice name, child, again, first = { 0 };
                size_t cursor = 0;

                while (json_next(value, &cursor, &name, &child) > 0) {
                        assert(child.size > 0 && child.data > value.data);
                        assert(child.data + child.size < value.data + value.size);
                        assert(json_validate(child.data, child.size, &again) == 0);
                        assert(again.size == child.size);
                        if (first.size == 0)
                                first = child;
                }
                assert(cursor < MAX_OF(value.size, (size_t) 1));
                if (first.size == 0)
                        return;
                value = first;
        }
        abort(); /* deeper than json_validate allows */
}

static void check_string(struct json_slice value)
{
        _cleanup_free_ char *text = malloc(value.size + 1);
        ssize_t n = json_string_copy(value, text, value.size + 1);

        if (n < 0)
                return;
        struct json_writer w = { .failed = false };
        _cleanup_free_ char *quoted = NULL;
        size_t size;

        assert(json_string_is(value, text));
        json_writer_string(&w, text);
        assert(json_writer_finish(&w, &quoted, &size) == 0);
        assert(json_string_compare(value, (struct json_slice) { quoted, size }) == 0);
}

static void check_canonical(struct json_slice value)
{
        _cleanup_free_ char *once = NULL, *twice = NULL;
        size_t size, size_twice;
        struct json_slice again;

        assert(identity_canonical_json(value, &once, &size) == 0);
        assert(json_validate(once, size, &again) == 0 && again.size == size);
        assert(identity_canonical_json(again, &twice, &size_twice) == 0);
        assert(size == size_twice && memcmp(once, twice, size) == 0);
}

static void check_rpc(const char *text, size_t size)
{
        static const char id[] = "\"swapped\"";
        struct jsonrpc_message m, swapped;
        _cleanup_free_ char *other = NULL;

        if (jsonrpc_parse(text, size, &m) < 0 || m.kind == JSONRPC_BATCH || m.id.size == 0)
                return;
        assert(jsonrpc_replace(m.whole, m.id, id, strlen(id), &other, &size) == 0);
        assert(jsonrpc_parse(other, size, &swapped) == 0 && swapped.kind == m.kind);
        assert(json_string_is(swapped.id, "swapped"));
        assert(swapped.params.size == m.params.size && swapped.result.size == m.result.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *text = (const char *) data;
        char identity[IDENTITY_SIZE];
        struct json_slice value;
        int64_t n;

        if (json_validate(text, size, &value) < 0)
                return 0;
        walk(value);
        check_string(value);
        check_canonical(value);
        check_rpc(text, size);
        (void) identity_from_client_info(value, identity);
        (void) identity_seed(value, &n);
        (void) json_integer(value, &n);
        return 0;
}
