/* `envmux reload`: the daemon reads its configuration again. */
#include "ctl/client.h"
#include "ctl/fields.h"

#include <json-c/json.h>
#include <stdio.h>

static void print_notes(struct json_object *parameters)
{
        size_t n;
        struct json_object *notes = field_array(parameters, "notes", &n);

        for (size_t i = 0; i < n; i++) {
                struct json_object *note = json_object_array_get_idx(notes, i);

                printf("%s: %s\n", field_string(note, "path"), field_string(note, "text"));
        }
}

static int run(const struct command *self, int argc, char **argv)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
        const char *control = NULL;
        bool json = false;
        struct varlink_answer answer;
        int first, r;

        const struct option_spec options[] = { OPTION_JSON(&json), OPTION_CONTROL(&control) };

        r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);
        if (r != 0)
                return options_exit(r);
        if (first < argc)
                return usage_error(self, "no argument is expected");
        r = client_ask(control, "Reload", NULL, &client, &answer);
        if (r != CTL_OK)
                return r;
        if (json)
                client_print_json(&answer, "notes");
        else
                print_notes(answer.parameters);
        return CTL_OK;
}

const struct command command_reload = {
        .name = "reload",
        .synopsis = "[--json]",
        .summary = "Have the daemon read its configuration again",
        .details = "Changed servers apply to new sessions. With mistakes in the file nothing changes; they are\n"
                   "printed, and the exit status is 2.",
        .run = run,
};
