/* `envmux servers`: what is configured and where clients connect. */
#include "ctl/client.h"
#include "ctl/fields.h"
#include "ctl/table.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

static const struct table_column columns[] = {
        { .title = "SERVER" },
        { .title = "URL", .is_flexible = true },
        { .title = "TRANSPORT" },
        { .title = "ERA" },
        { .title = "SESSIONS", .is_right = true },
        { .title = "FILE" },
};

static const char *file_name(const char *path)
{
        const char *slash = path ? strrchr(path, '/') : NULL;

        return slash ? slash + 1 : path ? path : "-";
}

static int add_row(struct table *table, struct json_object *server, const char *address)
{
        _cleanup_free_ char *url = NULL;
        char sessions[2 * HUMAN_SIZE];
        const char *path = field_string(server, "path");

        if (asprintf(&url, "%s%s", address ? address : "", path ? path : "") < 0) {
                url = NULL;
                return -ENOMEM;
        }
        snprintf(sessions, sizeof(sessions), "%" PRId64 "/%" PRId64, field_int(server, "sessions", 0),
                 field_int(server, "sessions_max", 0));

        const char *const cells[ELEMENTSOF(columns)] = {
                field_string(server, "name"), url, field_string(server, "transport"),
                field_string(server, "era") ?: "-", sessions, file_name(field_string(server, "file")),
        };

        return table_add(table, cells);
}

static int print_servers(struct json_object *parameters)
{
        size_t n_addresses, n_servers, n_files;
        struct json_object *addresses = field_array(parameters, "addresses", &n_addresses);
        struct json_object *servers = field_array(parameters, "servers", &n_servers);
        const char *address = n_addresses ? json_object_get_string(json_object_array_get_idx(addresses, 0)) : NULL;

        (void) field_array(parameters, "files", &n_files);

        /* Which file an entry is in says nothing while there is only one. */
        _cleanup_(table_freep) struct table *table = table_new(columns, ELEMENTSOF(columns) - (n_files < 2));

        for (size_t i = 0; i < n_servers; i++)
                if (!table || add_row(table, json_object_array_get_idx(servers, i), address) < 0)
                        return ctl_fail("out of memory");
        if (table)
                table_print(table);
        return CTL_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
        return client_question(self, argc, argv, "Servers", NULL, print_servers);
}

const struct command command_servers = {
        .name = "servers",
        .synopsis = "[--json]",
        .summary = "List the configured servers and where clients connect",
        .details = "ERA is what stdio backends speak, once that is known: legacy, up to MCP 2025-11-25, or\n"
                   "modern, MCP 2026-07-28. SESSIONS are the live ones and how many there may be. FILE\n"
                   "is where the server is configured, when several files were read. With --json one object\n"
                   "with the listening addresses, the files and the servers.",
        .run = run,
};
