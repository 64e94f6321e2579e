#include "ctl/call_values.h"

#include <stdio.h>

#define TYPE_SIZE 16

/* The schema's type of a property, when it is one word; else "". */
static void find_type(struct json_slice schema, const char *name, char ret[static TYPE_SIZE])
{
        struct json_slice type;

        ret[0] = '\0';
        if (schema.size > 0 && json_get_path(schema, &type, "properties", name, "type", NULL) >= 0 &&
            json_string_copy(type, ret, TYPE_SIZE) < 0)
                ret[0] = '\0';
}

static bool has_type(struct json_slice value, const char *type)
{
        static const struct {
                const char *type;
                enum json_kind kind;
        } kinds[] = {
                { "integer", JSON_NUMBER }, { "number", JSON_NUMBER }, { "boolean", JSON_BOOL },
                { "object", JSON_OBJECT },  { "array", JSON_ARRAY },   { "null", JSON_NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (streq(kinds[i].type, type) && json_slice_type(value) != kinds[i].kind)
                        return false;
        /* 3.0 and 3e0 are integers to JSON Schema, 3.5 is the server's to refuse. */
        return true;
}

static int write_value(const char *name, const char *text, struct json_slice schema, struct json_writer *writer)
{
        char type[TYPE_SIZE];
        struct json_slice value;
        bool is_json = json_validate(text, strlen(text), &value) >= 0;

        find_type(schema, name, type);
        if (streq(type, "string") || (!is_json && type[0] == '\0')) {
                json_writer_string(writer, text);
                return CTL_OK;
        }
        if (!is_json || !has_type(value, type)) {
                ctl_fail("the tool wants %s %s for \"%s\", not \"%s\"", strchr("aeiou", type[0]) ? "an" : "a", type, name,
                         text);
                return CTL_USAGE;
        }
        json_writer_raw(writer, value.data, value.size);
        return CTL_OK;
}

int call_values_write(char *const *words, int n_words, struct json_slice schema, struct json_writer *writer)
{
        json_writer_text(writer, "{");
        for (int i = 0; i < n_words; i++) {
                _cleanup_free_ char *name = NULL;
                const char *equals = strchr(words[i], '=');
                int status;

                if (!equals || equals == words[i]) {
                        ctl_fail("\"%s\" is no argument; write name=value", words[i]);
                        return CTL_USAGE;
                }
                name = strndup(words[i], (size_t) (equals - words[i]));
                if (!name)
                        return ctl_fail("out of memory");
                json_writer_text(writer, i ? "," : "");
                json_writer_string(writer, name);
                json_writer_text(writer, ":");
                status = write_value(name, equals + 1, schema, writer);
                if (status != CTL_OK)
                        return status;
        }
        json_writer_text(writer, "}");
        return CTL_OK;
}
