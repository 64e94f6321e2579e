/* `envmux events`: every move of every session, as it happens. */
#include "ctl/client.h"
#include "ctl/fields.h"
#include "ctl/table.h"

#include <inttypes.h>
#include <stdio.h>

static void print_event(struct json_object *event)
{
        const char *server = field_string(event, "server"), *key = field_string(event, "key");
        const char *from = field_string(event, "from"), *reason = field_string(event, "reason");
        const char *detail = field_string(event, "detail");

        printf("%s  %s  ", field_string(event, "time"), field_string(event, "id"));
        print_safely(server ? server : "", server ? strlen(server) : 0);
        if (key) {
                putchar('/');
                print_safely(key, strlen(key));
        }
        printf(" #%" PRId64 "  %s → %s", field_int(event, "generation", 0), from ? from : "new",
               field_string(event, "to"));
        if (reason) {
                printf("  (%s%s", reason, detail ? ": " : "");
                print_safely(detail ? detail : "", detail ? strlen(detail) : 0);
                putchar(')');
        }
        putchar('\n');
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
        r = client_open(control, &client);
        if (r == CTL_OK)
                r = client_send(client, "Monitor", NULL);
        while (r == CTL_OK) {
                struct json_object *event;

                r = client_receive(client, &answer);
                if (r != CTL_OK)
                        break;
                varlink_client_set_timeout(client, USEC_INFINITY);
                event = field_object(answer.parameters, "event");
                if (event && json)
                        client_print_json(&answer, "event");
                else if (event)
                        print_event(event);
                if (fflush(stdout) < 0 || !answer.continues)
                        break;
        }
        return r;
}

const struct command command_events = {
        .name = "events",
        .synopsis = "[--json]",
        .summary = "Follow the sessions: every start, change of state and end, as it happens",
        .details = "With --json one object per line.",
        .run = run,
};
