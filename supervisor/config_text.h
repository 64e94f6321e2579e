/* Strings of an entry: compiled as templates, with the rules that hold wherever a session's value is
 * used. */
#pragma once

#include "supervisor/config_value.h"

struct config_texts;

/* What compiling one entry needs and finds out. */
struct config_text {
        struct config_texts *texts; /* where files come from that it refers to */
        const char *folder; /* of the configuration file, absolute ("" is /): relative paths start there */
        bool may_listen;    /* ${envmux:port} and ${envmux:socket} have a meaning: transport http */
        unsigned *uses;     /* collects what the entry's texts refer to */
};

/* Compiles text (a template, common/template.h) that stands at a place. *ret is the caller's; NULL
 * after a mistake, which was reported. -ENOMEM. */
int config_text_compile(const struct config_text *text, const struct config_at *at, const char *raw, char **ret);

/* The same for a JSON value that must be a string. */
int config_text_read(const struct config_text *text, const struct config_at *at, struct json_object *value,
                     char **ret);

/* An array of strings; every element is compiled. *ret stays NULL after a mistake. */
int config_text_read_array(const struct config_text *text, const struct config_at *at, struct json_object *value,
                           char ***ret);

/* Like config_text_compile for what is fixed before any session: a session's value is a mistake, for
 * which why is the reason. */
int config_text_compile_fixed(const struct config_text *text, const struct config_at *at, const char *raw,
                              const char *why, char **ret);

/* Makes a compiled path absolute: relative ones start at the folder of the file. A leading ~ is a
 * mistake. *path is replaced, or freed and NULL after a mistake. -ENOMEM. */
int config_text_make_absolute(const struct config_text *text, const struct config_at *at, char **path);
