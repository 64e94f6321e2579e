/* The JSON Schema (draft 7) of the configuration, for editors, made from the tables that parse it. */
#pragma once

/* *ret is the caller's, indented, without a line feed at the end. -ENOMEM.
 *
 * It accepts what config_load accepts and refuses what can be seen in one value or one entry; what
 * depends on the environment, on files or on several keys together is config_load's alone. */
int config_json_schema(char **ret);
