/* Collecting mistakes and notes, each with the JSON path of what it is about. */
#pragma once

#include "supervisor/config.h"

/* A place in the file, as a chain on the stack: the top (no name), then member or element by element. */
struct config_at {
        const struct config_at *up; /* NULL at the top */
        const char *name;           /* NULL: an array element */
        size_t index;
        bool is_position;           /* name is a line:column of the file */
        struct config_report *report;
};

static inline struct config_at config_at_member(const struct config_at *up, const char *name)
{
        return (struct config_at) { .up = up, .name = name, .report = up->report };
}

static inline struct config_at config_at_element(const struct config_at *up, size_t index)
{
        return (struct config_at) { .up = up, .index = index, .report = up->report };
}

/* Adds one. Never fails towards silence: without memory for its text a mistake still counts. */
void config_report_mistake(const struct config_at *at, const char *format, ...) _printf_(2, 3);
void config_report_note(const struct config_at *at, const char *format, ...) _printf_(2, 3);

/* "mcpServers.lake.args[2]"; *ret is the caller's. */
int config_report_path(const struct config_at *at, char **ret);

/* The one of words (NULL-terminated) that a misspelled word most likely meant, or NULL. */
const char *config_report_suggest(const char *word, const char *const *words);
