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

/* Loads text and expects exactly these lines (each ends with a line feed) and no configuration. */
void assert_mistakes(const char *text, const char *expected);

/* Loads text and expects it to be fine, with exactly these lines of notes. */
void assert_notes(const char *text, const char *expected);
