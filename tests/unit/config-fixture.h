/* Loading a configuration from a text, for tests: the file is "envmux.json" in a folder of its own. */
#pragma once

#include "supervisor/config.h"

struct fixture {
        char folder[32]; /* removed at the end */
        struct config *config;
        struct config_report report;
        char *said;      /* the report, a line each: "path: text", notes as "path: note: text" */
};

void fixture_init(struct fixture *f);
void fixture_done(struct fixture *f);

/* Writes a file into the folder. */
void fixture_write(const struct fixture *f, const char *name, const char *text);

/* Loads text; returns what config_load did. */
int fixture_load(struct fixture *f, const char *text);
