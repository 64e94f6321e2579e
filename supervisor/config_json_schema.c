#include "supervisor/config_json_schema.h"

#include "supervisor/config_duration.h"
#include "supervisor/config_foreign.h"
#include "supervisor/config_limits.h"
#include "supervisor/config_range.h"
#include "supervisor/config_schema.h"
#include "supervisor/config_server.h"

#include <stdarg.h>
#include <stdio.h>

#include <json-c/json.h>

#define COUNTED "[0-9]+(\\\\.[0-9]+)? *(us|ms|s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|weeks?)"
#define DURATION_SCHEMA \
        "{\"type\": \"string\", \"pattern\": \"^ *([0-9]+(\\\\.[0-9]+)?|" COUNTED "( *" COUNTED ")*) *$\"}"
#define SIZE_SCHEMA "{\"type\": \"string\", \"pattern\": \"^[0-9]+ *([KMGT](i?B)?)?$\"}"

/* A constant of the program, so it always parses; NULL only without memory. */
static struct json_object *fragment(const char *text)
{
        return json_tokener_parse(text);
}

static struct json_object *ref(const char *to)
{
        struct json_object *object = json_object_new_object();

        json_object_object_add(object, "$ref", json_object_new_string(to));
        return object;
}

static void describe(struct json_object *schema, const char *format, ...) _printf_(2, 3);
static void describe(struct json_object *schema, const char *format, ...)
{
        char *text;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        json_object_object_add(schema, "description", json_object_new_string(text ? text : ""));
        free(text);
}

/* {"anyOf": [number, text]} */
static struct json_object *number_or_text(struct json_object *number, const char *text)
{
        struct json_object *schema = json_object_new_object(), *list = json_object_new_array();

        json_object_array_add(list, number);
        json_object_array_add(list, fragment(text));
        json_object_object_add(schema, "anyOf", list);
        return schema;
}

static struct json_object *words_schema(const char *const *words)
{
        struct json_object *schema = json_object_new_object(), *list = json_object_new_array();

        for (; *words; words++)
                json_object_array_add(list, json_object_new_string(*words));
        json_object_object_add(schema, "enum", list);
        return schema;
}

static struct json_object *string_schema(const struct config_key *key)
{
        struct json_object *schema = json_object_new_object();

        json_object_object_add(schema, "type", json_object_new_string("string"));
        if (key->pattern)
                json_object_object_add(schema, "pattern", json_object_new_string(key->pattern));
        return schema;
}

/* One of the words, or a word that goes on with a name. */
static struct json_object *keys_schema(const struct config_key *key)
{
        struct json_object *schema = json_object_new_object(), *list = json_object_new_array();

        json_object_array_add(list, words_schema(key->words));
        json_object_array_add(list, string_schema(key));
        json_object_object_add(schema, "anyOf", list);
        return schema;
}

static struct json_object *array_schema(const struct config_key *key, struct json_object *items)
{
        struct json_object *schema = json_object_new_object();

        json_object_object_add(schema, "type", json_object_new_string("array"));
        json_object_object_add(schema, "items", items);
        json_object_object_add(schema, "minItems", json_object_new_uint64(key->minimum));
        if (key->maximum)
                json_object_object_add(schema, "maxItems", json_object_new_uint64(key->maximum));
        return schema;
}

static struct json_object *number_schema(const struct config_key *key)
{
        struct json_object *schema = json_object_new_object();
        bool is_duration = key->type == CONFIG_DURATION;
        double unit = is_duration ? (double) USEC_PER_SEC : 1;

        json_object_object_add(schema, "type", json_object_new_string(is_duration ? "number" : "integer"));
        if (is_duration) {
                json_object_object_add(schema, "minimum", json_object_new_double((double) key->minimum / unit));
                json_object_object_add(schema, "maximum", json_object_new_double((double) key->maximum / unit));
        } else {
                json_object_object_add(schema, "minimum", json_object_new_uint64(key->minimum));
                json_object_object_add(schema, "maximum", json_object_new_uint64(key->maximum));
        }
        if (key->type == CONFIG_COUNT)
                return schema;
        return number_or_text(schema, is_duration ? DURATION_SCHEMA : SIZE_SCHEMA);
}

/* An object of the four limits. */
static struct json_object *limits_schema(void)
{
        struct json_object *schema = fragment("{\"type\": \"object\", \"additionalProperties\": false}");
        struct json_object *properties = json_object_new_object();

        for (unsigned kind = 0; kind < LIMIT__MAX; kind++) {
                const char *name = limit_to_string((enum limit_kind) kind);

                json_object_object_add(properties, name, fragment(config_limit_schema(name)));
        }
        json_object_object_add(schema, "properties", properties);
        return schema;
}

static struct json_object *key_schema(const struct config_key *key)
{
        struct json_object *schema = NULL;

        switch (key->type) {
        case CONFIG_DURATION:
        case CONFIG_SIZE:
        case CONFIG_COUNT:
                schema = number_schema(key);
                break;
        case CONFIG_WORD:
                schema = words_schema(key->words);
                break;
        case CONFIG_KEYS:
                schema = array_schema(key, keys_schema(key));
                break;
        case CONFIG_RANGE:
                schema = fragment("{\"type\": \"string\", \"pattern\": \"" CONFIG_RANGE_PATTERN "\"}");
                break;
        case CONFIG_STRING:
                schema = string_schema(key);
                break;
        case CONFIG_STRINGS:
                schema = array_schema(key, string_schema(key));
                break;
        case CONFIG_LIMIT:
                schema = fragment(config_limit_schema(key->name));
                break;
        case CONFIG_LIMITS:
                schema = limits_schema();
                break;
        }
        describe(schema, "%s (default: %s)", key->why, config_schema_default(key));
        return schema;
}

/* The object "envmux" of one place. */
static struct json_object *own_schema(enum config_place place)
{
        struct json_object *schema = json_object_new_object(), *properties = json_object_new_object();

        for (const struct config_key *key = config_keys; key->name; key++)
                if (config_schema_find(place, key->name) == key)
                        json_object_object_add(properties, key->name, key_schema(key));
        json_object_object_add(schema, "type", json_object_new_string("object"));
        json_object_object_add(schema, "properties", properties);
        json_object_object_add(schema, "additionalProperties", json_object_new_boolean(false));
        return schema;
}

/* What other clients' keys may hold: anything, or for refused ones what restricts nothing. */
static void add_foreign(struct json_object *properties, bool is_top)
{
        static const char *const harmless[] = {
                [HARMLESS_NEVER] = "{\"not\": {}}",
                [HARMLESS_EMPTY] = "{\"enum\": [null, false, [], {}]}",
                [HARMLESS_STAR] = "{\"enum\": [null, \"*\", [\"*\"]]}",
        };

        for (const struct config_foreign *foreign = config_foreigns; foreign->name; foreign++) {
                bool is_refused = foreign->verdict == FOREIGN_REFUSED;

                if (foreign->is_top != is_top)
                        continue;

                struct json_object *schema = fragment(is_refused ? harmless[foreign->harmless] : "{}");

                describe(schema, "%s: %s%s", foreign->clients, is_refused ? "" : "ignored: ", foreign->text);
                json_object_object_add(properties, foreign->name, schema);
        }
}

static struct json_object *entry_schema(void)
{
        struct json_object *schema = fragment("{\"type\": \"object\", \"required\": [\"command\"]}");
        struct json_object *properties = json_object_new_object();

        for (const struct config_entry_key *key = config_entry_keys; key->name; key++) {
                struct json_object *value = key->schema ? fragment(key->schema) : own_schema(CONFIG_SERVER);

                describe(value, "%s", key->why);
                json_object_object_add(properties, key->name, value);
        }
        add_foreign(properties, false);
        json_object_object_add(schema, "properties", properties);
        return schema;
}

/* All entries by name. One that is disabled or reached by URL is not looked into. */
static struct json_object *map_schema(void)
{
        struct json_object *schema = fragment(
                "{\"type\": \"object\", \"additionalProperties\": {"
                "\"if\": {\"anyOf\": ["
                "{\"type\": \"object\", \"required\": [\"disabled\"],"
                " \"properties\": {\"disabled\": {\"const\": true}}},"
                "{\"type\": \"object\", \"required\": [\"enabled\"],"
                " \"properties\": {\"enabled\": {\"const\": false}}},"
                "{\"type\": \"object\", \"not\": {\"required\": [\"command\"]}, \"anyOf\": [{\"required\": [\"url\"]}, "
                "{\"required\": [\"serverUrl\"]}, {\"required\": [\"httpUrl\"]}, {\"required\": [\"tcp\"]}]}]},"
                "\"then\": {\"type\": \"object\"}, \"else\": {\"$ref\": \"#/definitions/entry\"}}}");
        struct json_object *names = json_object_new_object();
        char pattern[48];

        snprintf(pattern, sizeof(pattern), "^[A-Za-z0-9._-]{1,%d}$", CONFIG_SERVER_NAME_MAX);
        json_object_object_add(names, "pattern", json_object_new_string(pattern));
        json_object_object_add(names, "not", words_schema(config_server_reserved_names));
        json_object_object_add(schema, "propertyNames", names);
        return schema;
}

int config_json_schema(char **ret)
{
        struct json_object *schema = fragment(
                "{\"$schema\": \"http://json-schema.org/draft-07/schema#\", \"title\": \"envmux configuration\","
                "\"description\": \"See envmux.json(5).\", \"type\": \"object\","
                "\"allowComments\": true, \"allowTrailingCommas\": true,"
                "\"anyOf\": [{\"required\": [\"mcpServers\"]}, {\"required\": [\"servers\"]}, "
                "{\"required\": [\"context_servers\"]}]}");
        struct json_object *properties = json_object_new_object(), *definitions = json_object_new_object();

        if (!schema || !properties || !definitions)
                return -ENOMEM;
        json_object_object_add(properties, "mcpServers", ref("#/definitions/map"));
        json_object_object_add(properties, "servers", ref("#/definitions/map"));
        json_object_object_add(properties, "context_servers", ref("#/definitions/map"));
        json_object_object_add(properties, "envmux", own_schema(CONFIG_TOP));
        add_foreign(properties, true);
        json_object_object_add(definitions, "map", map_schema());
        json_object_object_add(definitions, "entry", entry_schema());
        json_object_object_add(schema, "properties", properties);
        json_object_object_add(schema, "definitions", definitions);

        const char *text = json_object_to_json_string_ext(schema, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                          JSON_C_TO_STRING_NOSLASHESCAPE);

        *ret = text ? strdup(text) : NULL;
        json_object_put(schema);
        return *ret ? 0 : -ENOMEM;
}
