/* Loading a configuration from a text, for tests: the file is "envmux.json" in a folder of its own. */
#pragma once

#include "supervisor/config.h"

struct fixture {
        char folder[32]; /* removed at the end */
        bool has_drop_ins;
        struct config *config;
        struct config_report report;
        char *said;      /* the report, a line each: "path: text", notes as "path: note: text"; with drop-ins
                          * each begins with the name of its file */
};

void fixture_init(struct fixture *f);
void fixture_done(struct fixture *f);

/* Writes a file into the folder. */
void fixture_write(const struct fixture *f, const char *name, const char *text);

/* Writes a file into the folder of drop-ins, which is read from now on. */
void fixture_drop_in(struct fixture *f, const char *name, const char *text);

/* Loads text; returns what config_load did. */
int fixture_load(struct fixture *f, const char *text);
