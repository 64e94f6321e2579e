/* The files that a configuration is read from: the one that is named, then the drop-ins of a folder. */
#pragma once

#include "supervisor/config_report.h"

struct config_texts;

#define CONFIG_DROP_INS_MAX 256

struct config_source {
        char *path;               /* as it was named */
        char *folder;             /* absolute: where relative paths in the file start */
        struct json_object *root; /* an object */
};

struct config_sources {
        struct config_texts *texts; /* what is read goes into them, or comes out of them */
        struct config_source *list; /* a later one has the last word */
        size_t n;
};

/* Reads, into texts, path and, unless drop_ins is NULL, every file NAME.json of that folder in the order of their names
 * (strcmp), hidden ones excepted; a folder that is missing holds none. Files that cannot be read or are no JSON
 * are reported, all of them, and the first reason is returned. *ret is the caller's in every case
 * (config_sources_done). */
int config_sources_read(struct config_texts *texts, const char *path, const char *drop_ins,
                        struct config_report *report, struct config_sources *ret);
/* The same for what was read at an earlier time. */
int config_sources_recall(struct config_texts *texts, struct config_report *report, struct config_sources *ret);
void config_sources_done(struct config_sources *sources);
