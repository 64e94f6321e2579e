/* Limits in the configuration: "memory_max" and its siblings, and the objects that hold them for a level. */
#pragma once

#include "supervisor/config_schema.h"

/* Readers of config_value.h: field is a struct limit, or a struct limits. */
int config_limit_read(const struct config_key *key, const struct config_at *at, struct json_object *value, void *field);
int config_limits_read(const struct config_key *key, const struct config_at *at, struct json_object *value,
                       void *field);

/* JSON Schema of one limit, by name, as a text that parses. */
const char *config_limit_schema(const char *name);
