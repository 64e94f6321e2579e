#include "common/jsonrpc.h"

struct envelope {
        struct json_slice version;
        struct jsonrpc_message message;
};

#define MEMBER(name, field) { name, sizeof(name) - 1, offsetof(struct envelope, field) }

/* The members that JSON-RPC gives a meaning, and where each goes. */
static const struct member {
        const char *name;
        size_t name_size, offset;
} members[] = {
        MEMBER("jsonrpc", version),       MEMBER("id", message.id),         MEMBER("method", message.method),
        MEMBER("params", message.params), MEMBER("result", message.result), MEMBER("error", message.error),
};

static const struct member *member_find(struct json_slice name)
{
        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                if (name.size == members[i].name_size + 2 && memcmp(name.data + 1, members[i].name, name.size - 2) == 0)
                        return &members[i];
        if (!memchr(name.data, '\\', name.size))
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                if (json_string_is(name, members[i].name))
                        return &members[i];
        return NULL;
}

/* A member given twice would mean one thing to us and perhaps another to the other side. */
static int read_members(struct json_slice object, struct envelope *e)
{
        struct json_slice name, value;
        size_t cursor = 0;

        while (json_next(object, &cursor, &name, &value) > 0) {
                const struct member *member = member_find(name);

                if (!member)
                        continue;
                struct json_slice *slot = (struct json_slice *) (void *) ((char *) e + member->offset);

                if (slot->size > 0)
                        return -EPROTO;
                *slot = value;
        }
        return 0;
}

static bool is_id(struct json_slice token)
{
        enum json_kind type = json_slice_type(token);

        return type == JSON_STRING || type == JSON_NUMBER;
}

static int classify_call(struct jsonrpc_message *m)
{
        enum json_kind params = json_slice_type(m->params);

        if (json_slice_type(m->method) != JSON_STRING || m->result.size > 0 || m->error.size > 0)
                return -EPROTO;
        if (m->params.size > 0 && params != JSON_OBJECT && params != JSON_ARRAY)
                return -EPROTO;
        if (m->id.size > 0 && !is_id(m->id))
                return -EPROTO;
        m->kind = m->id.size > 0 ? JSONRPC_REQUEST : JSONRPC_NOTIFICATION;
        return 0;
}

static int classify_response(struct jsonrpc_message *m)
{
        bool error = m->error.size > 0;

        if (error == (m->result.size > 0) || (error && json_slice_type(m->error) != JSON_OBJECT))
                return -EPROTO;
        if (!is_id(m->id) && !(error && json_slice_type(m->id) == JSON_NULL))
                return -EPROTO;
        m->kind = JSONRPC_RESPONSE;
        return 0;
}

int jsonrpc_parse_value(struct json_slice value, struct jsonrpc_message *ret)
{
        struct envelope e = { .message.whole = value };

        if (json_slice_type(value) != JSON_OBJECT)
                return -EPROTO;
        int r = read_members(value, &e);

        if (r < 0)
                return r;
        if (!json_string_is(e.version, "2.0"))
                return -EPROTO;
        r = e.message.method.size > 0 ? classify_call(&e.message) : classify_response(&e.message);
        if (r < 0)
                return r;
        *ret = e.message;
        return 0;
}

int jsonrpc_parse(const char *text, size_t size, struct jsonrpc_message *ret)
{
        struct json_slice value, element;
        size_t cursor = 0;
        int r = json_validate(text, size, &value);

        if (r < 0)
                return r;
        if (json_slice_type(value) != JSON_ARRAY)
                return jsonrpc_parse_value(value, ret);
        if (json_next(value, &cursor, NULL, &element) == 0)
                return -EPROTO;
        *ret = (struct jsonrpc_message) { .kind = JSONRPC_BATCH, .whole = value };
        return 0;
}

bool jsonrpc_method_is(const struct jsonrpc_message *message, const char *word)
{
        return message->method.size > 0 && json_string_is(message->method, word);
}

bool jsonrpc_id_equal(struct json_slice a, struct json_slice b)
{
        if (!is_id(a) || json_slice_type(a) != json_slice_type(b))
                return false;
        if (a.size == b.size && memcmp(a.data, b.data, a.size) == 0)
                return true;
        return json_slice_type(a) == JSON_STRING && json_string_compare(a, b) == 0;
}

int jsonrpc_replace(struct json_slice whole, struct json_slice old, const char *replacement, size_t replacement_size,
                    char **ret, size_t *ret_size)
{
        struct json_writer w = { .failed = false };
        const char *behind = old.data + old.size;

        json_writer_raw(&w, whole.data, (size_t) (old.data - whole.data));
        json_writer_raw(&w, replacement, replacement_size);
        json_writer_raw(&w, behind, (size_t) (whole.data + whole.size - behind));
        return json_writer_finish(&w, ret, ret_size);
}

static int edit_compare(const void *a, const void *b)
{
        const struct jsonrpc_edit *left = a, *right = b;

        return left->old.data < right->old.data ? -1 : left->old.data > right->old.data;
}

int jsonrpc_edit(struct json_slice whole, struct jsonrpc_edit *edits, size_t n, char **ret, size_t *ret_size)
{
        struct json_writer w = { .failed = false };
        const char *at = whole.data;

        qsort(edits, n, sizeof(*edits), edit_compare);
        for (size_t i = 0; i < n; i++) {
                json_writer_raw(&w, at, (size_t) (edits[i].old.data - at));
                json_writer_raw(&w, edits[i].text, edits[i].size);
                at = edits[i].old.data + edits[i].old.size;
        }
        json_writer_raw(&w, at, (size_t) (whole.data + whole.size - at));
        return json_writer_finish(&w, ret, ret_size);
}
