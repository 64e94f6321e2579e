#include "worker/modern_params.h"

#include "worker/modern_header.h"

#define PREFIX "Mcp-Param-"
#define LEVELS_MAX (JSON_DEPTH_MAX / 2)

/* Annotations count only where a chain of `properties` leads to them. */
struct level {
        struct json_slice properties, arguments;
        size_t cursor;
};

/* Member of an object by a name that is JSON text itself; the last one where it is repeated. */
static bool member(struct json_slice object, struct json_slice name, struct json_slice *ret)
{
        struct json_slice other, value;
        bool is_found = false;

        for (size_t cursor = 0; json_next(object, &cursor, &other, &value) > 0;)
                if (json_string_compare(other, name) == 0) {
                        *ret = value;
                        is_found = true;
                }
        return is_found;
}

static bool is_primitive(struct json_slice value)
{
        enum json_kind kind = json_slice_type(value);

        return kind == JSON_STRING || kind == JSON_NUMBER || kind == JSON_BOOL;
}

/* The header that an argument is to be repeated in; false: none. */
static bool annotation(struct json_slice property, char ret[static MODERN_PARAM_HEADER_SIZE])
{
        struct json_slice name;

        if (json_get(property, "x-mcp-header", &name) < 0 ||
            json_string_copy(name, ret + strlen(PREFIX), MODERN_PARAM_HEADER_SIZE - strlen(PREFIX)) <= 0)
                return false;
        memcpy(ret, PREFIX, strlen(PREFIX));
        return true;
}

static bool header_fits(const struct http_head *head, const char *name, struct json_slice argument, bool *ret_is_missing)
{
        struct http_slice value;
        int r = http_head_get(head, name, &value);

        *ret_is_missing = r == -ENOENT;
        return r >= 0 && modern_header_fits(value, argument);
}

int modern_params_check(const struct http_head *head, struct json_slice schema, struct json_slice arguments,
                        char ret_header[static MODERN_PARAM_HEADER_SIZE], bool *ret_is_missing)
{
        struct level levels[LEVELS_MAX];
        char header[MODERN_PARAM_HEADER_SIZE];
        size_t depth = 0;

        if (arguments.size == 0 || json_get(schema, "properties", &levels[0].properties) < 0)
                return 0;
        levels[depth++] = (struct level) { .properties = levels[0].properties, .arguments = arguments };
        while (depth > 0) {
                struct level *level = &levels[depth - 1];
                struct json_slice name, property, argument, inner;

                if (json_next(level->properties, &level->cursor, &name, &property) <= 0) {
                        depth--;
                        continue;
                }
                if (!member(level->arguments, name, &argument))
                        continue;
                if (is_primitive(argument) && annotation(property, header) &&
                    !header_fits(head, header, argument, ret_is_missing)) {
                        memcpy(ret_header, header, sizeof(header));
                        return -EINVAL;
                }
                if (depth < LEVELS_MAX && json_get(property, "properties", &inner) >= 0)
                        levels[depth++] = (struct level) { .properties = inner, .arguments = argument };
        }
        return 0;
}
