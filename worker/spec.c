#include "worker/spec.h"

#include "common/fd.h"
#include "common/json_scan.h"

#include <json-c/json.h>
#include <stdio.h>

enum field_type {
        FIELD_ARRAY,   /* fixed char array */
        FIELD_STRING,  /* char * */
        FIELD_STRINGS, /* char **, NULL-terminated */
        FIELD_NUMBER,  /* uint64_t */
        FIELD_BOOL,
        FIELD_WORD,    /* unsigned enum, one of words */
};

struct field {
        const char *name;
        enum field_type type;
        size_t offset, size;
        bool is_required;
        const char *const *words;
};

static const char *const kind_words[] = {
        [KEY_NAMED] = "named", [KEY_TRANSPORT] = "transport", [KEY_CLIENT] = "client",
        [KEY_META] = "meta", [KEY_SHARED] = "shared", [KEY_REQUEST] = "request", [KEY_HANDLE] = "handle",
        [KEY_PROBE] = "probe", [KEY__MAX] = NULL,
};
static const char *const transport_words[] = {
        [TRANSPORT_STDIO] = "stdio", [TRANSPORT_HTTP] = "http", [TRANSPORT_HTTP + 1] = NULL,
};
static const char *const attach_words[] = {
        [ATTACH_JOIN] = "join", [ATTACH_REPLACE] = "replace", [ATTACH_REJECT] = "reject", [ATTACH_REJECT + 1] = NULL,
};

#define AT(member) .offset = offsetof(struct spec, member), .size = sizeof(((struct spec *) NULL)->member)

static const struct field fields[] = {
        { "id", FIELD_ARRAY, AT(id), .is_required = true },
        { "server", FIELD_ARRAY, AT(server), .is_required = true },
        { "key", FIELD_ARRAY, AT(key), .is_required = true },
        { "token", FIELD_ARRAY, AT(token), .is_required = true },
        { "kind", FIELD_WORD, AT(kind), .is_required = true, .words = kind_words },
        { "generation", FIELD_NUMBER, AT(generation) },
        { "transport", FIELD_WORD, AT(transport), .is_required = true, .words = transport_words },
        { "uses_socket", FIELD_BOOL, AT(uses_socket) },
        { "http_path", FIELD_STRING, AT(http_path) },
        { "command", FIELD_STRING, AT(command), .is_required = true },
        { "args", FIELD_STRINGS, AT(args) },
        { "env", FIELD_STRINGS, AT(env) },
        { "cwd", FIELD_STRING, AT(cwd) },
        { "tmp", FIELD_STRING, AT(tmp) },
        { "attach", FIELD_WORD, AT(attach), .words = attach_words },
        { "awaits_request", FIELD_BOOL, AT(awaits_request) },
        { "is_managed", FIELD_BOOL, AT(is_managed) },
        { "revives", FIELD_BOOL, AT(revives) },
        { "idle_usec", FIELD_NUMBER, AT(idle_usec) },
        { "connection_usec", FIELD_NUMBER, AT(connection_usec) },
        { "retry_usec", FIELD_NUMBER, AT(retry_usec) },
        { "start_usec", FIELD_NUMBER, AT(start_usec) },
        { "request_usec", FIELD_NUMBER, AT(request_usec) },
        { "drain_usec", FIELD_NUMBER, AT(drain_usec) },
        { "rung_usec", FIELD_NUMBER, AT(rung_usec) },
        { "message_bytes_max", FIELD_NUMBER, AT(message_bytes_max) },
        { "buffer_bytes_max", FIELD_NUMBER, AT(buffer_bytes_max) },
        { "memory_limit", FIELD_STRING, AT(memory_limit) },
        { "log_bytes_max", FIELD_NUMBER, AT(log_bytes_max) },
};

static struct spec *spec_new_default(void)
{
        struct spec *spec = calloc(1, sizeof(*spec));

        if (!spec)
                return NULL;
        spec->generation = 1;
        spec->idle_usec = 30 * USEC_PER_MINUTE;
        spec->retry_usec = USEC_PER_SEC;
        spec->start_usec = USEC_PER_MINUTE;
        spec->request_usec = 10 * USEC_PER_MINUTE;
        spec->drain_usec = 10 * USEC_PER_SEC;
        spec->rung_usec = 2 * USEC_PER_SEC;
        spec->message_bytes_max = 16u * 1024 * 1024;
        spec->buffer_bytes_max = 64u * 1024 * 1024;
        spec->log_bytes_max = 256u * 1024;
        return spec;
}

static int strings_read(struct json_object *value, char ***ret)
{
        if (!json_object_is_type(value, json_type_array))
                return -EINVAL;
        size_t n = json_object_array_length(value);
        char **strings = calloc(n + 1, sizeof(*strings));

        if (!strings)
                return -ENOMEM;
        *ret = strings; /* freed with the spec, complete or not */
        for (size_t i = 0; i < n; i++) {
                struct json_object *element = json_object_array_get_idx(value, i);

                if (!json_object_is_type(element, json_type_string))
                        return -EINVAL;
                strings[i] = strdup(json_object_get_string(element));
                if (!strings[i])
                        return -ENOMEM;
        }
        return 0;
}

static int string_read(struct json_object *value, char **ret)
{
        if (!json_object_is_type(value, json_type_string))
                return -EINVAL;
        free(*ret);
        *ret = strdup(json_object_get_string(value));
        return *ret ? 0 : -ENOMEM;
}

static int word_read(struct json_object *value, const char *const *words, void *at)
{
        const char *text = json_object_get_string(value);

        if (!json_object_is_type(value, json_type_string))
                return -EINVAL;
        for (unsigned i = words[0] ? 0 : 1; words[i]; i++)
                if (streq(words[i], text)) {
                        memcpy(at, &i, sizeof(i));
                        return 0;
                }
        return -EINVAL;
}

static int number_read(struct json_object *value, uint64_t *ret)
{
        if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
                return -EINVAL;
        *ret = json_object_get_uint64(value);
        return 0;
}

static int field_read(const struct field *field, struct json_object *value, struct spec *spec)
{
        void *at = (char *) spec + field->offset;

        switch (field->type) {
        case FIELD_ARRAY:
                if (!json_object_is_type(value, json_type_string))
                        return -EINVAL;
                return str_copy(at, field->size, json_object_get_string(value));
        case FIELD_STRING:
                return string_read(value, at);
        case FIELD_STRINGS:
                return strings_read(value, at);
        case FIELD_NUMBER:
                return number_read(value, at);
        case FIELD_BOOL:
                if (!json_object_is_type(value, json_type_boolean))
                        return -EINVAL;
                *(bool *) at = json_object_get_boolean(value);
                return 0;
        case FIELD_WORD:
                return word_read(value, field->words, at);
        }
        return -EINVAL;
}

/* Numbers (the seed) are taken by their text. */
static int values_read(struct json_object *root, struct spec *spec)
{
        static const enum template_value told[] = {
                TEMPLATE_SEED, TEMPLATE_SESSION, TEMPLATE_CONFIG_FILE, TEMPLATE_WORKSPACE,
        };
        static const char *const names[] = { "seed", "session", "config_file", "workspace" };
        struct json_object *values, *value;

        if (!json_object_object_get_ex(root, "values", &values) || !json_object_is_type(values, json_type_object))
                return -EINVAL;
        for (size_t i = 0; i < ELEMENTSOF(told); i++) {
                if (!json_object_object_get_ex(values, names[i], &value) || !value)
                        continue;
                spec->values[told[i]] = strdup(json_object_get_string(value));
                if (!spec->values[told[i]])
                        return -ENOMEM;
        }
        return spec->values[TEMPLATE_WORKSPACE] ? 0 : -EINVAL;
}

static int verbatim_read(struct json_slice root, const char *name, char **ret)
{
        struct json_slice value;
        int r = json_get(root, name, &value);

        if (r == -ENOENT || (r == 0 && json_slice_type(value) == JSON_NULL))
                return 0;
        *ret = strndup(value.data, value.size);
        return *ret ? 0 : -ENOMEM;
}

/* What clients said is found by its bytes: a number in it must reach the backend as it was written. */
static int verbatims_read(const char *text, size_t size, struct spec *spec)
{
        struct json_slice root;
        int r = json_validate(text, size, &root);

        if (r >= 0)
                r = verbatim_read(root, "config", &spec->config);
        return r < 0 ? r : verbatim_read(root, "revive", &spec->revive);
}

static int why(char **ret_why, const char *name, const char *what)
{
        if (asprintf(ret_why, "spec member \"%s\" %s", name, what) < 0)
                *ret_why = NULL;
        return -EINVAL;
}

static int spec_fill(struct json_object *root, struct spec *spec, char **ret_why)
{
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                struct json_object *value;

                if (!json_object_object_get_ex(root, fields[i].name, &value) || !value) {
                        if (fields[i].is_required)
                                return why(ret_why, fields[i].name, "is missing");
                        continue;
                }
                int r = field_read(&fields[i], value, spec);

                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        return why(ret_why, fields[i].name, "is not what it should be");
        }
        int r = values_read(root, spec);

        return r == -EINVAL ? why(ret_why, "values", "is missing or has no workspace") : r;
}

int spec_parse(const char *text, size_t size, struct spec **ret, char **ret_why)
{
        _cleanup_(spec_freep) struct spec *spec = spec_new_default();
        struct json_tokener *tokener = json_tokener_new();
        struct json_object *root = NULL;

        if (!spec || !tokener) {
                if (tokener)
                        json_tokener_free(tokener);
                return -ENOMEM;
        }
        root = json_tokener_parse_ex(tokener, text, (int) MIN_OF(size, SPEC_BYTES_MAX));
        json_tokener_free(tokener);
        if (!json_object_is_type(root, json_type_object)) {
                json_object_put(root);
                return why(ret_why, "", ": the spec is not a JSON object");
        }
        int r = spec_fill(root, spec, ret_why);

        json_object_put(root);
        if (r >= 0)
                r = verbatims_read(text, size, spec);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(spec);
        return 0;
}

int spec_read(int fd, struct spec **ret, char **ret_why)
{
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        int r = fd_read_all(fd, SPEC_BYTES_MAX, &text, &size);

        return r < 0 ? r : spec_parse(text, size, ret, ret_why);
}

static void strings_free(char **strings)
{
        for (size_t i = 0; strings && strings[i]; i++)
                free(strings[i]);
        free(strings);
}

struct spec *spec_free(struct spec *spec)
{
        if (!spec)
                return NULL;
        free(spec->http_path);
        free(spec->command);
        strings_free(spec->args);
        strings_free(spec->env);
        free(spec->cwd);
        free(spec->memory_limit);
        for (size_t i = 0; i < TEMPLATE__MAX; i++)
                free(spec->values[i]);
        free(spec->tmp);
        free(spec->config);
        free(spec->revive);
        free(spec);
        return NULL;
}

bool spec_ends_with_its_clients(const struct spec *spec)
{
        return !spec->is_managed && (spec->kind == KEY_TRANSPORT || spec->kind == KEY_NAMED);
}
