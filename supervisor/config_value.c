#include "supervisor/config_value.h"

#include "supervisor/config_duration.h"
#include "supervisor/config_limits.h"
#include "supervisor/config_range.h"
#include "supervisor/config_size.h"

#include <inttypes.h>
#include <regex.h>
#include <stdio.h>

#include <json-c/json.h>

const char *config_value_kind(struct json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_null:
                return "null";
        case json_type_boolean:
                return json_object_get_boolean(value) ? "true" : "false";
        case json_type_int:
        case json_type_double:
                return "a number";
        case json_type_string:
                return "a string";
        case json_type_array:
                return "an array";
        default:
                return "an object";
        }
}

bool config_value_is(const struct config_at *at, struct json_object *value, int json_type, const char *type_words)
{
        if (json_object_is_type(value, (enum json_type) json_type))
                return true;
        config_report_mistake(at, "must be %s, is %s", type_words, config_value_kind(value));
        return false;
}

const char *config_value_text(const struct config_at *at, struct json_object *value)
{
        if (!config_value_is(at, value, json_type_string, "a string"))
                return NULL;

        const char *text = json_object_get_string(value);

        if (strlen(text) != (size_t) json_object_get_string_len(value)) {
                config_report_mistake(at, "holds the character U+0000");
                return NULL;
        }
        return text;
}

void config_value_bool(const struct config_at *at, struct json_object *value, bool *ret)
{
        if (config_value_is(at, value, json_type_boolean, "true or false"))
                *ret = json_object_get_boolean(value);
}

char **config_value_free_strings(char **strings)
{
        for (char **s = strings; s && *s; s++)
                free(*s);
        free(strings);
        return NULL;
}

static void store(const struct config_key *key, void *field, uint64_t number)
{
        if (key->width == sizeof(uint64_t))
                *(uint64_t *) field = number;
        else
                *(uint32_t *) field = (uint32_t) number;
}

/* ---- numbers ---- */

static const char *number_format(const struct config_key *key, uint64_t number, char ret[static CONFIG_DURATION_SIZE])
{
        if (key->type == CONFIG_DURATION)
                return config_duration_format(number, ret);
        if (key->type == CONFIG_SIZE)
                return config_size_format(number, ret);
        snprintf(ret, CONFIG_DURATION_SIZE, "%" PRIu64, number);
        return ret;
}

static int number_from_json(enum config_type type, struct json_object *value, uint64_t *ret)
{
        if (type == CONFIG_DURATION)
                return config_duration_from_json(value, ret);
        if (type == CONFIG_COUNT && !json_object_is_type(value, json_type_int))
                return -EINVAL;
        return config_size_from_json(value, ret);
}

static int read_number(const struct config_key *key, const struct config_at *at, struct json_object *value,
                       void *field)
{
        static const char *const forms[] = {
                [CONFIG_DURATION] = "must be a duration: \"90s\", \"30min\", \"1h30min\", or a number of seconds",
                [CONFIG_SIZE] = "must be a size: \"512K\", \"64M\", \"1G\", or a number of bytes",
                [CONFIG_COUNT] = "must be a whole number",
        };
        uint64_t number;
        int r = number_from_json(key->type, value, &number);

        if (r == -EINVAL) {
                config_report_mistake(at, "%s", forms[key->type]);
        } else if (r == -ERANGE || number < key->minimum || number > key->maximum) {
                char low[CONFIG_DURATION_SIZE], high[CONFIG_DURATION_SIZE];

                config_report_mistake(at, "must be between %s and %s", number_format(key, key->minimum, low),
                                      number_format(key, key->maximum, high));
        } else {
                store(key, field, number);
        }
        return 0;
}

/* ---- words ---- */

static int word_index(const struct config_key *key, const char *word)
{
        for (int i = 0; key->words[i]; i++)
                if (streq(key->words[i], word))
                        return i;
        return -ENOENT;
}

/* Reports a word that is none of the key's. */
static void refuse_word(const struct config_key *key, const struct config_at *at, const char *word)
{
        char list[128] = "";
        size_t used = 0;
        const char *meant = config_report_suggest(word, key->words);

        for (size_t i = 0; key->words[i] && used < sizeof(list); i++)
                used += (size_t) snprintf(list + used, sizeof(list) - used, "%s\"%s\"",
                                          i == 0                ? ""
                                          : key->words[i + 1]   ? ", "
                                                                : " or ",
                                          key->words[i]);
        if (meant)
                config_report_mistake(at, "must be %s (did you mean \"%s\"?)", list, meant);
        else
                config_report_mistake(at, "must be %s", list);
}

static int read_word(const struct config_key *key, const struct config_at *at, struct json_object *value, void *field)
{
        const char *word = config_value_text(at, value);

        if (!word)
                return 0;

        int index = word_index(key, word);

        if (index < 0)
                refuse_word(key, at, word);
        else
                store(key, field, (uint64_t) index);
        return 0;
}

/* 1: fits, 0: does not (reported), -ENOMEM. */
static int fits(const struct config_key *key, const struct config_at *at, const char *text)
{
        regex_t regex;

        if (!key->pattern)
                return 1;
        if (regcomp(&regex, key->pattern, REG_EXTENDED | REG_NOSUB) != 0)
                return -ENOMEM;

        int is_match = regexec(&regex, text, 0, NULL, 0) == 0;

        regfree(&regex);
        if (!is_match)
                config_report_mistake(at, "must be %s", key->pattern_words);
        return is_match;
}

/* "meta:NAME". 1: it is, 0: it is not, or has been reported; -ENOMEM. */
static int read_meta_key(const struct config_key *key, const struct config_at *at, const char *word,
                         struct server_keys *keys)
{
        const char *name = word + sizeof(CONFIG_KEYS_META) - 1;
        int r = fits(key, at, word);

        if (r <= 0)
                return r;
        if (keys->meta[0] && !streq(keys->meta, name)) {
                config_report_mistake(at, "only one entry of _meta can be a key");
                return 0;
        }
        keys->kinds |= 1u << KEY_META;
        (void) STR_COPY(keys->meta, name);
        return 1;
}

/* A path and a header name one kind of key. 1: read, 0: reported, -ENOMEM. */
static int read_key_word(const struct config_key *key, const struct config_at *at, const char *word,
                         struct server_keys *keys)
{
        static const enum key_kind kinds[] = { KEY_NAMED, KEY_NAMED, KEY_TRANSPORT, KEY_CLIENT, KEY_SHARED };
        int index = word_index(key, word);

        if (index >= 0 && (size_t) index < ELEMENTSOF(kinds)) {
                keys->kinds |= 1u << kinds[index];
                return 1;
        }
        if (strncmp(word, CONFIG_KEYS_META, sizeof(CONFIG_KEYS_META) - 1) == 0)
                return read_meta_key(key, at, word, keys);
        refuse_word(key, at, word);
        return 0;
}

static int read_keys(const struct config_key *key, const struct config_at *at, struct json_object *value, void *field)
{
        struct server_keys keys = {};
        bool is_good = true;

        if (!config_value_is(at, value, json_type_array, "an array"))
                return 0;
        if (json_object_array_length(value) < key->minimum) {
                config_report_mistake(at, "must name at least one kind of key");
                return 0;
        }
        for (size_t i = 0; i < json_object_array_length(value); i++) {
                struct config_at element = config_at_element(at, i);
                const char *word = config_value_text(&element, json_object_array_get_idx(value, i));
                int r = word ? read_key_word(key, &element, word, &keys) : 0;

                if (r < 0)
                        return r;
                is_good = is_good && r > 0;
        }
        if (is_good)
                *(struct server_keys *) field = keys;
        return 0;
}

/* ---- strings ---- */

static int read_string(const struct config_key *key, const struct config_at *at, struct json_object *value,
                       void *field)
{
        const char *text = config_value_text(at, value);
        int r = text ? fits(key, at, text) : 0;

        if (r <= 0)
                return r;

        char *copy = strdup(text);

        if (!copy)
                return -ENOMEM;
        free(*(char **) field);
        *(char **) field = copy;
        return 0;
}

static int read_strings(const struct config_key *key, const struct config_at *at, struct json_object *value,
                        void *field)
{
        if (!config_value_is(at, value, json_type_array, "an array of strings"))
                return 0;

        size_t n = json_object_array_length(value);

        if (n < key->minimum || n > key->maximum) {
                config_report_mistake(at, "must hold between %" PRIu64 " and %" PRIu64 " strings", key->minimum,
                                      key->maximum);
                return 0;
        }

        char **strings = calloc(n + 1, sizeof(*strings));
        int r = strings ? 1 : -ENOMEM;
        bool is_good = true;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct config_at element = config_at_element(at, i);
                const char *text = config_value_text(&element, json_object_array_get_idx(value, i));

                r = text ? fits(key, &element, text) : 0;
                is_good = is_good && r > 0;
                if (is_good && !(strings[i] = strdup(text)))
                        r = -ENOMEM;
        }
        if (r < 0 || !is_good) {
                config_value_free_strings(strings);
                return r < 0 ? r : 0;
        }
        config_value_free_strings(*(char ***) field);
        *(char ***) field = strings;
        return 0;
}

static int read_range(const struct config_key *key, const struct config_at *at, struct json_object *value, void *field)
{
        const char *text = config_value_text(at, value);
        struct config_range range;
        int r = text ? config_range_parse(text, key->minimum, key->maximum, &range) : 0;

        if (r == -ERANGE)
                config_report_mistake(at, "must be between %" PRIu64 " and %" PRIu64, key->minimum, key->maximum);
        else if (r < 0)
                config_report_mistake(at, "must be a range of numbers such as \"%s\"", key->default_text);
        else if (text)
                *(struct config_range *) field = range;
        return 0;
}

/* ---- all ---- */

static int (*const readers[])(const struct config_key *, const struct config_at *, struct json_object *, void *) = {
        [CONFIG_DURATION] = read_number, [CONFIG_SIZE] = read_number,     [CONFIG_COUNT] = read_number,
        [CONFIG_WORD] = read_word,       [CONFIG_KEYS] = read_keys,       [CONFIG_STRING] = read_string,
        [CONFIG_STRINGS] = read_strings, [CONFIG_LIMIT] = config_limit_read, [CONFIG_LIMITS] = config_limits_read,
        [CONFIG_RANGE] = read_range,
};

int config_value_read(const struct config_key *key, const struct config_at *at, struct json_object *value,
                      void *field)
{
        return readers[key->type](key, at, value, field);
}

int config_value_default(const struct config_key *key, const struct config *config, void *field)
{
        uint64_t number = 0;

        if (key->type == CONFIG_STRING) {
                *(char **) field = key->default_text ? strdup(key->default_text) : NULL;
                return key->default_text && !*(char **) field ? -ENOMEM : 0;
        }
        if (key->type == CONFIG_STRINGS) {
                *(char ***) field = NULL;
                return 0;
        }
        if (key->type == CONFIG_KEYS) {
                *(struct server_keys *) field = (struct server_keys) { .kinds = (unsigned) key->default_number(config) };
                return 0;
        }
        if (key->type == CONFIG_LIMIT || key->type == CONFIG_LIMITS) {
                memset(field, 0, key->width);
                return 0;
        }
        if (key->type == CONFIG_RANGE)
                return config_range_parse(key->default_text, key->minimum, key->maximum, field);
        if (key->default_number)
                number = key->default_number(config);
        else if (key->type == CONFIG_DURATION)
                (void) config_duration_parse(key->default_text, &number);
        else if (key->type == CONFIG_WORD)
                number = (uint64_t) word_index(key, key->default_text);
        else
                (void) config_size_parse(key->default_text, &number);
        store(key, field, number);
        return 0;
}

static char **copy_strings(char *const *strings)
{
        size_t n = 0;

        while (strings[n])
                n++;
        char **copy = calloc(n + 1, sizeof(*copy));

        for (size_t i = 0; copy && i < n; i++)
                if (!(copy[i] = strdup(strings[i])))
                        return config_value_free_strings(copy);
        return copy;
}

int config_value_copy(const struct config_key *key, const void *from, void *to)
{
        bool has_value = true, is_copied = true;

        memcpy(to, from, key->width);
        if (key->type == CONFIG_STRING) {
                char **text = to;

                has_value = *text;
                is_copied = has_value && (*text = strdup(*text));
        } else if (key->type == CONFIG_STRINGS) {
                char ***strings = to;

                has_value = *strings;
                is_copied = has_value && (*strings = copy_strings(*strings));
        }
        return has_value && !is_copied ? -ENOMEM : 0;
}

void config_value_done(const struct config_key *key, void *field)
{
        if (key->type == CONFIG_STRING) {
                free(*(char **) field);
                *(char **) field = NULL;
        } else if (key->type == CONFIG_STRINGS) {
                *(char ***) field = config_value_free_strings(*(char ***) field);
        }
}
