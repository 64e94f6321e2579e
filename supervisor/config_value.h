/* From a JSON value to the field of a key, by the key's type. */
#pragma once

#include "supervisor/config_schema.h"

/* Reads value into field. A mistake goes to the report and leaves field as it was. -ENOMEM. */
int config_value_read(const struct config_key *key, const struct config_at *at, struct json_object *value,
                      void *field);

/* Sets field (of a fresh struct) to the key's default. -ENOMEM. */
int config_value_default(const struct config_key *key, const struct config *config, void *field);

/* Copies a field into another, which must hold nothing that config_value_done would free. -ENOMEM. */
int config_value_copy(const struct config_key *key, const void *from, void *to);

/* Frees what a field of this type owns. */
void config_value_done(const struct config_key *key, void *field);

/* "a string", "a number", …: what a JSON value is, for people. */
const char *config_value_kind(struct json_object *value);

/* The text of a string without U+0000, or NULL after reporting a mistake. Borrowed. */
const char *config_value_text(const struct config_at *at, struct json_object *value);

/* True or false into *ret; a mistake leaves it as it was. */
void config_value_bool(const struct config_at *at, struct json_object *value, bool *ret);

/* Reports a mistake unless value is of this type; type_words is "an object", "an array". */
bool config_value_is(const struct config_at *at, struct json_object *value, int json_type, const char *type_words);

/* A NULL-terminated array of strings and its freeing; strv_free(NULL) is fine. */
char **config_value_free_strings(char **strings);
