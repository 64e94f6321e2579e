/* The one table of envmux's own keys: what parses them, suggests them, and writes the JSON Schema and
 * the table of envmux.json(5). */
#pragma once

#include "supervisor/config_report.h"

/* Where a key may stand: bits. */
enum config_place {
        CONFIG_TOP = 1 << 0,     /* in "envmux" at the top; its field is in struct config */
        CONFIG_SERVER = 1 << 1,  /* in "envmux" of an entry; its field is in struct server_config */
        CONFIG_DEFAULT = 1 << 2, /* with CONFIG_SERVER: also at the top, as the default of every entry */
};

enum config_type {
        CONFIG_DURATION, /* usec_t */
        CONFIG_SIZE,     /* bytes */
        CONFIG_COUNT,    /* unsigned */
        CONFIG_WORD,     /* an enum: one of words, in its order */
        CONFIG_KEYS,     /* struct server_keys: an array of words */
        CONFIG_STRING,   /* char * */
        CONFIG_RANGE,    /* struct config_range */
        CONFIG_STRINGS,  /* char **, NULL-terminated; NULL for none */
        CONFIG_LIMIT,    /* struct limit; its kind is that of the name */
        CONFIG_LIMITS,   /* struct limits: an object of these */
};

/* The word of CONFIG_KEYS that goes on with the name of a _meta entry. */
#define CONFIG_KEYS_META "meta:"

struct config_key {
        const char *name;
        unsigned places;
        enum config_type type;
        size_t offset, width;      /* of the field; numbers are stored in its width */
        uint64_t minimum, maximum; /* of numbers; of the length of arrays and strings */
        const char *default_text;  /* as one would write it, without quotes; NULL: none, or computed */
        uint64_t (*default_number)(const struct config *config); /* computed default */
        const char *default_words; /* a default that default_text does not say, for people */
        const char *const *words;  /* of CONFIG_WORD and CONFIG_KEYS, NULL-terminated */
        const char *pattern;       /* of strings, and of the word of CONFIG_KEYS that has a name in it: an
                                    * extended regular expression that fits the whole */
        const char *pattern_words; /* what fits, for people */
        const char *why;           /* one line for people */
};

extern const struct config_key config_keys[]; /* ends with a NULL name */

/* The row of a name that may stand at this place (CONFIG_TOP or CONFIG_SERVER), or NULL. */
const struct config_key *config_schema_find(enum config_place place, const char *name);

/* Sets every field of the place's struct to its default. base is the struct; config is what computed
 * defaults look at. -ENOMEM. */
int config_schema_defaults(enum config_place place, const struct config *config, void *base);

/* Copies what may be set at the top for every entry. -ENOMEM. */
int config_schema_inherit(const struct server_config *from, struct server_config *to);

/* Reads the object "envmux" of one place into base; at the top, what is meant for every entry goes to
 * inherited (NULL elsewhere). Mistakes go to the report and leave their field as it was. -ENOMEM. */
int config_schema_read(enum config_place place, const struct config_at *at, struct json_object *object, void *base,
                       struct server_config *inherited);

/* Frees the strings in a struct of this place. */
void config_schema_done(enum config_place place, void *base);

/* "30min", "path, header, transport", "none": the default, for people. */
const char *config_schema_default(const struct config_key *key);
