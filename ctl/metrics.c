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

static int print_metrics(struct json_object *parameters)
{
        print_group(parameters, "counters");
        print_group(parameters, "gauges");
        return CTL_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
        return client_question(self, argc, argv, "Metrics", NULL, print_metrics);
}

const struct command command_metrics = {
        .name = "metrics",
        .synopsis = "[--json]",
        .summary = "Print counters of the daemon, and what is true now",
        .run = run,
};
