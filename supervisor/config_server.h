/* One entry of mcpServers, in the dialects of all clients. */
#pragma once

#include "supervisor/config_report.h"

struct config_texts;

/* What entries are read against. */
struct config_server_context {
        const struct config *config;           /* with its defaults; computed defaults look at it */
        const struct server_config *inherited; /* what the top sets for every entry */
        const char *file;                      /* what the entry is in; outlives the server */
        const char *folder;                    /* its absolute folder */
        struct config_texts *texts;            /* where the files that it refers to come from */
};

/* A key of entries that envmux acts on. */
struct config_entry_key {
        const char *name;
        const char *schema; /* JSON Schema of its value */
        const char *why;    /* one line for people */
};

extern const struct config_entry_key config_entry_keys[]; /* ends with a NULL name */

/* Names a server may not have, beyond the shape of names: they mean something else in URLs. */
extern const char *const config_server_reserved_names[]; /* NULL-terminated */

#define CONFIG_SERVER_NAME_MAX 64

/* Reads an entry. *ret is the caller's; it stays NULL for an entry that is disabled, skipped (reached by
 * URL) or holds a mistake. -ENOMEM. */
int config_server_read(const struct config_server_context *context, const struct config_at *at, const char *name,
                       struct json_object *entry, struct server_config **ret);

struct server_config *config_server_free(struct server_config *server);
DEFINE_CLEANUP(struct server_config, config_server_free)
