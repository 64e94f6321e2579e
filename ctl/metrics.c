/* `envmux metrics`: counters of the daemon. */
#include "ctl/client.h"
#include "ctl/fields.h"

#include <json-c/json.h>
#include <stdio.h>

static void print_group(struct json_object *parameters, const char *name)
{
        struct json_object *group = field_object(parameters, name);

        if (!group)
                return;
        json_object_object_foreach(group, member, value)
                printf("%-24s %s\n", member, json_object_get_string(value));
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
        r = client_ask(control, "Metrics", NULL, &client, &answer);
        if (r != CTL_OK)
                return r;
        if (json) {
                client_print_json(&answer, NULL);
        } else {
                print_group(answer.parameters, "counters");
                print_group(answer.parameters, "gauges");
        }
        return CTL_OK;
}

const struct command command_metrics = {
        .name = "metrics",
        .synopsis = "[--json]",
        .summary = "Print counters of the daemon, and what is true now",
        .run = run,
};
