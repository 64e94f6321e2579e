#include "ctl/client.h"
#include "ctl/fields.h"

#include <json-c/json.h>
#include <stdio.h>

#define INTERFACE "io.envmux.Control."

int client_path(const char *control, char ret[static PATH_MAX])
{
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        int n;

        if (!control && runtime && runtime[0] == '/') {
                n = snprintf(ret, PATH_MAX, "%s/envmux/control", runtime);
                if (n < PATH_MAX && access(ret, F_OK) == 0)
                        return 0;
        }
        n = snprintf(ret, PATH_MAX, "%s", control ? control : "/run/envmux/control");
        return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int client_open(const char *control, struct varlink_client **ret)
{
        char path[PATH_MAX];
        int r = client_path(control, path);

        if (r >= 0)
                r = varlink_client_connect(path, ret);
        switch (r) {
        case 0:
                return CTL_OK;
        case -ENOENT:
        case -ECONNREFUSED:
        case -ENOTSOCK:
                ctl_fail("no envmux is running on %s; start one with `envmux run CONFIG`, or name another control "
                         "socket with --control PATH", path);
                return CTL_NO_DAEMON;
        case -EACCES:
                return ctl_fail("you may not use the control socket %s; run this as the user that envmux runs as",
                                path);
        case -ENAMETOOLONG:
                return ctl_fail("the path of the control socket is longer than 107 bytes");
        default:
                return ctl_fail("cannot connect to %s: %s", path, strerror(-r));
        }
}

/* ---- errors ------------------------------------------------------------------------------------ */

/* What an error means and what to do about it: before, the named parameter, after. */
static const struct explanation {
        const char *error, *before, *parameter, *after;
        int status;
} explanations[] = {
        { INTERFACE "NoSuchSession", "there is no session \"", "id",
          "\"; `envmux ps` lists the live ones, `envmux ps --all` also those that ended lately", CTL_FAILED },
        { INTERFACE "AmbiguousSession", "several sessions are named \"", "id", "…\":", CTL_FAILED },
        { INTERFACE "NoSuchServer", "no server is named \"", "server", "\"; `envmux servers` lists them", CTL_FAILED },
        { INTERFACE "ConfigInvalid", "the configuration has mistakes; the old one stays in force", "", "", CTL_USAGE },
        { VARLINK_ERROR_PERMISSION_DENIED, "only root and the user that envmux runs as may do this", "", "",
          CTL_FAILED },
        { VARLINK_ERROR_METHOD_NOT_FOUND,
          "the daemon on this socket does not know this command; it may be older than this envmux", "", "",
          CTL_FAILED },
        { VARLINK_ERROR_INTERFACE_NOT_FOUND, "what answers on this socket is not envmux", "", "", CTL_FAILED },
        { VARLINK_ERROR_INVALID_PARAMETER, "the daemon does not accept this value of \"", "parameter", "\"",
          CTL_FAILED },
};

/* Errors name the choices or the mistakes that they are about. */
static void print_details(struct json_object *parameters)
{
        size_t n_notes, n_candidates;
        struct json_object *notes = field_array(parameters, "notes", &n_notes);
        struct json_object *candidates = field_array(parameters, "candidates", &n_candidates);

        for (size_t i = 0; i < n_notes; i++) {
                struct json_object *note = json_object_array_get_idx(notes, i);
                const char *file = field_string(note, "file"), *path = field_string(note, "path");
                const char *text = field_string(note, "text");

                fprintf(stderr, "  %s%s%s%s%s\n", file ? file : "", file ? ": " : "", path ? path : "",
                        path && path[0] ? ": " : "", text ? text : "");
        }
        for (size_t i = 0; i < n_candidates; i++)
                fprintf(stderr, "  %s\n", json_object_get_string(json_object_array_get_idx(candidates, i)));
}

static int explain(const struct varlink_answer *answer)
{
        const char *why = field_string(answer->parameters, "why");

        for (size_t i = 0; i < ELEMENTSOF(explanations); i++) {
                const struct explanation *e = &explanations[i];
                const char *value = field_string(answer->parameters, e->parameter);

                if (!streq(e->error, answer->error))
                        continue;
                ctl_fail("%s%s%s", e->before, value ? value : "", e->after);
                print_details(answer->parameters);
                return e->status;
        }
        return ctl_fail("the daemon says %s%s%s", answer->error, why ? ": " : "", why ? why : "");
}

/* ---- calls ------------------------------------------------------------------------------------- */

int client_send(struct varlink_client *client, const char *method, struct json_writer *parameters)
{
        char name[128];
        int r;

        snprintf(name, sizeof(name), INTERFACE "%s", method);
        r = varlink_client_send(client, name, parameters, VARLINK_MORE);
        return r < 0 && r != -EPIPE ? ctl_fail("cannot write to the control socket: %s", strerror(-r)) : CTL_OK;
}

int client_check(int r, const struct varlink_answer *answer)
{
        switch (r) {
        case 0:
                return answer->error ? explain(answer) : CTL_OK;
        case -ECONNRESET:
                return ctl_fail("the daemon closed the connection");
        case -ETIMEDOUT:
                return ctl_fail("the daemon did not answer in time");
        case -EBADMSG:
                return ctl_fail("what answers on this socket does not speak Varlink");
        default:
                return ctl_fail("cannot use the control socket: %s", strerror(-r));
        }
}

int client_receive(struct varlink_client *client, struct varlink_answer *ret)
{
        return client_check(varlink_client_receive(client, ret), ret);
}

int client_call(struct varlink_client *client, const char *method, struct json_writer *parameters,
                struct varlink_answer *ret)
{
        char name[128];

        snprintf(name, sizeof(name), INTERFACE "%s", method);
        return client_check(varlink_client_call(client, name, parameters, ret), ret);
}

int client_ask(const char *control, const char *method, struct json_writer *parameters,
               struct varlink_client **ret_client, struct varlink_answer *ret)
{
        int status = client_open(control, ret_client);

        if (status == CTL_OK)
                return client_call(*ret_client, method, parameters, ret);
        if (parameters)
                json_writer_done(parameters);
        return status;
}

int client_question(const struct command *self, int argc, char **argv, const char *method, const char *json_member,
                    int (*print)(struct json_object *parameters))
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
        const char *control = NULL;
        bool json = false;
        struct varlink_answer answer;
        int first;
        const struct option_spec options[] = { OPTION_JSON(&json), OPTION_CONTROL(&control) };
        int r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);

        if (r != 0)
                return options_exit(r);
        if (first < argc)
                return usage_error(self, "no argument is expected");
        r = client_ask(control, method, NULL, &client, &answer);
        if (r != CTL_OK)
                return r;
        if (!json)
                return print(answer.parameters);
        client_print_json(&answer, json_member);
        return CTL_OK;
}

void client_print_json(const struct varlink_answer *answer, const char *member)
{
        struct json_slice text = answer->text;

        if (member && json_get(answer->text, member, &text) < 0)
                text = (struct json_slice) { .data = "null", .size = 4 };
        printf("%.*s\n", (int) text.size, text.data);
}
