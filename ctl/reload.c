/* `envmux reload`: the daemon reads its configuration again; where its programs were replaced, the new ones take
 * over, and the command waits until they serve. */
#include "ctl/client.h"

#include "common/time_util.h"
#include "ctl/fields.h"
#include <json-c/json.h>
#include <stdio.h>

#define TAKEOVER_USEC (60 * USEC_PER_SEC)
#define LOOK_USEC (20 * USEC_PER_MSEC)
#define QUESTION_USEC (5 * USEC_PER_SEC)

static void print_notes(struct json_object *parameters)
{
        size_t n;
        struct json_object *notes = field_array(parameters, "notes", &n);

        for (size_t i = 0; i < n; i++) {
                struct json_object *note = json_object_array_get_idx(notes, i);

                const char *file = field_string(note, "file"), *path = field_string(note, "path");

                printf("%s%s%s%s%s\n", file ? file : "", file ? ": " : "", path ? path : "", path && *path ? ": " : "",
                       field_string(note, "text"));
        }
}

/* All routers are there. Quietly false for whatever reason: it is asked again. */
static bool is_serving(const char *path)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
        struct varlink_answer answer;

        if (varlink_client_connect(path, &client) < 0)
                return false;
        varlink_client_set_timeout(client, QUESTION_USEC);
        if (varlink_client_call(client, "io.envmux.Control.Metrics", NULL, &answer) < 0 || answer.error)
                return false;
        struct json_object *gauges = field_object(answer.parameters, "gauges");

        return field_int(gauges, "routers", 0) >= field_int(gauges, "routers_wanted", 1);
}

/* The old one's connections end with it. Those that are made from then on the new one accepts. */
static int wait_for_takeover(const char *path, struct varlink_client *client)
{
        usec_t until = usec_add(now_usec(), TAKEOVER_USEC);
        struct varlink_answer answer;

        varlink_client_set_timeout(client, TAKEOVER_USEC);
        (void) varlink_client_receive(client, &answer);
        while (!is_serving(path)) {
                if (usec_until(until) == 0)
                        return ctl_fail("the new envmux-supervisor does not serve; its log says why");
                usleep((useconds_t) LOOK_USEC);
        }
        return CTL_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
        const char *control = NULL;
        bool json = false;
        struct varlink_answer answer;
        char path[PATH_MAX];
        int first;
        const struct option_spec options[] = { OPTION_JSON(&json), OPTION_CONTROL(&control) };
        int r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);

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
        if (!field_bool(answer.parameters, "restarting"))
                return CTL_OK;
        (void) client_path(control, path); /* as for the connection that there is */
        return wait_for_takeover(path, client);
}

const struct command command_reload = {
        .name = "reload",
        .synopsis = "[--json]",
        .summary = "Have the daemon read its configuration again",
        .details = "Changed servers apply to new sessions, removed ones drain. With mistakes in the file nothing\n"
                   "changes; they are printed, and the exit status is 2. Programs of envmux that were replaced\n"
                   "by an upgrade take over without ending a session or a request; a new daemon that refuses\n"
                   "the configuration does not, and nothing changes.",
        .run = run,
};
