/* Reading a JSON file as editors write it: comments, trailing commas and a byte order mark allowed,
 * everything else strict. */
#pragma once

#include "supervisor/config_report.h"

struct config_texts;

#define CONFIG_FILE_SIZE_MAX (4 * 1024 * 1024)
#define CONFIG_FILE_DEPTH_MAX 32

/* Reads path, into or out of texts. 0 with *ret, the caller's (json_object_put); it is an object. -EINVAL: not JSON, too
 * deep, a name twice in one object, a line break in a string, or no object (the report says where, as
 * line:column); other negative errno: the file cannot be read (the report says so as well). */
int config_file_read(struct config_texts *texts, const char *path, struct config_report *report,
                     struct json_object **ret);

/* The same for a text in memory, which is changed in place. */
int config_file_parse(char *text, size_t size, struct config_report *report, struct json_object **ret);
