/* `envmux stop ID… | --all`. */
#include "ctl/client.h"
#include "ctl/fields.h"

#include <json-c/json.h>
#include <stdio.h>

/* What one call ends: a session, the sessions of a server, or all. */
struct target {
        const char *member, *name; /* NULL: all */
};

struct stop {
        bool json, drain, no_wait, all;
        const char *control, *server;
};

static void print_stopped(const struct varlink_answer *answer)
{
        size_t n;
        struct json_object *ids = field_array(answer->parameters, "stopped", &n);

        for (size_t i = 0; i < n; i++)
                printf("%s\n", json_object_get_string(json_object_array_get_idx(ids, i)));
}

static int stop_target(const struct stop *stop, struct varlink_client *client, const struct target *target)
{
        struct json_writer parameters = { .data = NULL };
        struct varlink_answer answer;
        int status;

        json_writer_format(&parameters, "{\"wait\":%s", stop->no_wait ? "false" : "true");
        if (target->member) {
                json_writer_format(&parameters, ",\"%s\":", target->member);
                json_writer_string(&parameters, target->name);
        } else {
                json_writer_text(&parameters, ",\"all\":true");
        }
        json_writer_text(&parameters, "}");
        status = client_call(client, stop->drain ? "Drain" : "Stop", &parameters, &answer);
        if (status != CTL_OK)
                return status;
        if (stop->json)
                client_print_json(&answer, "stopped");
        else
                print_stopped(&answer);
        return CTL_OK;
}

/* Every session named is tried, whatever became of the others. */
static int stop_all_named(const struct stop *stop, struct varlink_client *client, char **names, int n_names)
{
        int worst = CTL_OK;

        for (int i = 0; i < n_names; i++) {
                int status = stop_target(stop, client, &(struct target) { .member = "id", .name = names[i] });

                worst = MAX_OF(worst, status);
        }
        return worst;
}

static int run(const struct command *self, int argc, char **argv)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
        struct stop stop = { .json = false };
        int first, r;

        const struct option_spec options[] = {
                { .letter = 'a', .name = "all", .help = "every session", .flag = &stop.all },
                { .letter = 's', .name = "server", .value_name = "NAME", .help = "every session of this server",
                  .value = &stop.server },
                { .name = "drain", .help = "let requests in flight take up to the request deadline",
                  .flag = &stop.drain },
                { .name = "no-wait", .help = "do not wait until every process is gone", .flag = &stop.no_wait },
                OPTION_JSON(&stop.json),
                OPTION_CONTROL(&stop.control),
        };

        r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);
        if (r != 0)
                return options_exit(r);
        if ((first < argc) + stop.all + (stop.server != NULL) != 1)
                return usage_error(self, "name sessions, or --server NAME, or --all");
        r = client_open(stop.control, &client);
        if (r != CTL_OK)
                return r;
        /* The daemon bounds how long an end may take. */
        varlink_client_set_timeout(client, USEC_INFINITY);
        if (stop.server)
                return stop_target(&stop, client, &(struct target) { .member = "server", .name = stop.server });
        if (stop.all)
                return stop_target(&stop, client, &(struct target) { .member = NULL });
        return stop_all_named(&stop, client, argv + first, argc - first);
}

const struct command command_stop = {
        .name = "stop",
        .synopsis = "[--drain] [--no-wait] [--json] ID… | --server NAME | --all",
        .summary = "End sessions",
        .details = "ID is as for `envmux show`. Requests in flight may finish within the server's drain time;\n"
                   "then stdin is closed, then SIGTERM is sent, then everything is killed. Prints the ids of\n"
                   "the sessions, when no process of them is left.",
        .run = run,
};
