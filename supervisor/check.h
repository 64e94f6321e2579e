/* `envmux-supervisor --check FILE` and `--schema`. Each returns an exit status. */
#pragma once

#include "supervisor/config.h"

#include <stdio.h>

/* Prints every mistake and note of the file and of its drop-ins (NULL: none), also what this machine cannot hold; then, where there is
 * no mistake, its servers and their URLs. json: one JSON object instead. 0, 2 (mistakes), 1 (no
 * memory, or standard output is gone). */
int check_run(const char *path, const char *drop_ins, bool json);

/* Prints the JSON Schema of the configuration. 0 or 1. */
int check_print_schema(void);

/* "FILE: json.path: reason" for each mistake, "FILE: json.path: note: reason" for each note. */
void check_print_report(FILE *stream, const struct config_report *report);
