#include "supervisor/config_limits.h"

#include "supervisor/config_value.h"
#include "supervisor/limits.h"

#include <ctype.h>
#include <stdio.h>

#include <json-c/json.h>

#define SUGGESTION_SIZE (LIMIT_TEXT_SIZE + 4)

/* Words that other tools use for having no limit. */
static const char *const infinity_words[] = { "max", "none", "unlimited", "inf", "infinite", "off", NULL };

static bool is_among(const char *word, const char *const *words)
{
        for (; *words; words++)
                if (strcasecmp(word, *words) == 0)
                        return true;
        return false;
}

/* What was most likely meant by a text that is no limit of this kind. */
static bool suggest(enum limit_kind kind, const char *text, char ret[static SUGGESTION_SIZE])
{
        static const char *const words[] = { "infinity", "idle", NULL };
        char upper[LIMIT_TEXT_SIZE];
        struct limit limit;
        const char *word = is_among(text, infinity_words) ? "infinity" : config_report_suggest(text, words);

        if (STR_COPY(upper, text) < 0)
                return false;
        for (char *c = upper; *c; c++)
                *c = (char) toupper((unsigned char) *c);
        if (kind == LIMIT_CPU_QUOTA)
                snprintf(ret, SUGGESTION_SIZE, "%s%%", text);
        else
                snprintf(ret, SUGGESTION_SIZE, "%s", word ? word : upper);
        if (limit_parse(kind, ret, &limit) >= 0)
                return true;
        snprintf(ret, SUGGESTION_SIZE, "%s", word ? word : "");
        return limit_parse(kind, ret, &limit) >= 0;
}

static void refuse(enum limit_kind kind, const struct config_at *at, struct json_object *value, int error)
{
        char meant[SUGGESTION_SIZE];
        bool is_text = json_object_is_type(value, json_type_string) || json_object_is_type(value, json_type_int);

        if (error == -ERANGE)
                config_report_mistake(at, "%s", limit_bounds(kind));
        else if (is_text && suggest(kind, json_object_get_string(value), meant))
                config_report_mistake(at, "%s (did you mean \"%s\"?)", limit_syntax(kind), meant);
        else
                config_report_mistake(at, "%s", limit_syntax(kind));
}

static void read_one(enum limit_kind kind, const struct config_at *at, struct json_object *value, struct limit *limit)
{
        int r = limit_from_json(kind, value, limit);

        if (r < 0)
                refuse(kind, at, value, r);
}

int config_limit_read(const struct config_key *key, const struct config_at *at, struct json_object *value, void *field)
{
        read_one((enum limit_kind) limit_from_string(key->name), at, value, field);
        return 0;
}

int config_limits_read(_unused_ const struct config_key *key, const struct config_at *at, struct json_object *value,
                       void *field)
{
        const char *names[LIMIT__MAX + 1] = { NULL };
        struct limits *limits = field;

        for (unsigned kind = 0; kind < LIMIT__MAX; kind++)
                names[kind] = limit_to_string((enum limit_kind) kind);
        if (!config_value_is(at, value, json_type_object, "an object"))
                return 0;

        json_object_object_foreach(value, name, member) {
                struct config_at member_at = config_at_member(at, name);
                int kind = limit_from_string(name);
                const char *meant = kind < 0 ? config_report_suggest(name, names) : NULL;

                if (kind >= 0)
                        read_one((enum limit_kind) kind, &member_at, member, &limits->of[kind]);
                else if (meant)
                        config_report_mistake(&member_at, "unknown key (did you mean \"%s\"?)", meant);
                else
                        config_report_mistake(&member_at, "unknown key");
        }
        return 0;
}

const char *config_limit_schema(const char *name)
{
        static const char *const schemas[LIMIT__MAX] = {
                [LIMIT_MEMORY_MAX] =
                        "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": 1048576}, {\"type\": \"string\", \"pattern\": "
                        "\"^([0-9]+(\\\\.[0-9]{1,3})? *([KMGT](i?B)?)?|[0-9]+(\\\\.[0-9]{1,2})?%|infinity)$\"}]}",
                [LIMIT_TASKS_MAX] =
                        "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 4194304}, "
                        "{\"type\": \"string\", \"pattern\": \"^([0-9]+|[0-9]+(\\\\.[0-9]{1,2})?%|infinity)$\"}]}",
                [LIMIT_CPU_QUOTA] =
                        "{\"type\": \"string\", \"pattern\": \"^([0-9]+(\\\\.[0-9]{1,2})?%|infinity)$\"}",
                [LIMIT_CPU_WEIGHT] =
                        "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 10000}, "
                        "{\"type\": \"string\", \"pattern\": \"^([0-9]+|idle)$\"}]}",
        };
        int kind = limit_from_string(name);

        return kind < 0 ? "{}" : schemas[kind];
}
