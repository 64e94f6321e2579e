/* The environment of a backend: "env", and the file that "envFile" names. */
#pragma once

#include "supervisor/config_text.h"

/* Compiles both (either may be NULL) into *ret, a NULL-terminated array of "NAME=VALUE" templates, the
 * caller's; "env" wins over the file. entry is the place of the server's entry. Mistakes go to the
 * report. -ENOMEM. */
int config_env_read(const struct config_text *text, const struct config_at *entry, struct json_object *env,
                    struct json_object *env_file, char ***ret);
