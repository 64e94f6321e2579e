/* `envmux reload`: the daemon reads its configuration again. */
#include "ctl/client.h"
#include "ctl/fields.h"

#include <json-c/json.h>
#include <stdio.h>

static int print_notes(struct json_object *parameters)
{
        size_t n;
        struct json_object *notes = field_array(parameters, "notes", &n);

        for (size_t i = 0; i < n; i++) {
                struct json_object *note = json_object_array_get_idx(notes, i);

                const char *file = field_string(note, "file"), *path = field_string(note, "path");

                printf("%s%s%s%s%s\n", file ? file : "", file ? ": " : "", path ? path : "", path && *path ? ": " : "",
                       field_string(note, "text"));
        }
        return CTL_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
        return client_question(self, argc, argv, "Reload", "notes", print_notes);
}

const struct command command_reload = {
        .name = "reload",
        .synopsis = "[--json]",
        .summary = "Have the daemon read its configuration again",
        .details = "Changed servers apply to new sessions. With mistakes in the file nothing changes; they are\n"
                   "printed, and the exit status is 2.",
        .run = run,
};
