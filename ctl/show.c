/* `envmux show ID`: all that is known of one session. */
#include "ctl/client.h"
#include "ctl/fields.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>

#define LABEL_WIDTH 14

/* How a member is shown. */
enum format { TEXT, NUMBER, BYTES, DURATION, JSON };

/* In the order of the output; members that are absent are left out. */
static const struct row {
        const char *label, *member;
        enum format format;
} rows[] = {
        { "Session", "id", TEXT },
        { "Server", "server", TEXT },
        { "Key", "key", TEXT },
        { "Key kind", "kind", TEXT },
        { "Principal", "principal", TEXT },
        { "Generation", "generation", NUMBER },
        { "Era", "era", TEXT },
        { "State", "state", TEXT },
        { "Sub-state", "sub_state", TEXT },
        { "Since", "since", TEXT },
        { "Reason", "reason", TEXT },
        { "Detail", "detail", TEXT },
        { "Path", "url", TEXT },
        { "Command", "command", TEXT },
        { "Backend PID", "backend_pid", NUMBER },
        { "Worker PID", "worker_pid", NUMBER },
        { "User", "user", TEXT },
        { "Tracked by", "tracking", TEXT },
        { "In flight", "in_flight", NUMBER },
        { "Clients", "clients", NUMBER },
        { "Requests", "requests", NUMBER },
        { "Bytes in", "bytes_in", BYTES },
        { "Bytes out", "bytes_out", BYTES },
        { "Buffered", "bytes_buffered", BYTES },
        { "Idle", "idle_usec", DURATION },
        { "Idle timeout", "idle_timeout_usec", DURATION },
        { "Lifetime", "lifetime_usec", DURATION },
        { "Seed", "seed", NUMBER },
        { "Labels", "labels", JSON },
        { "Config", "config", JSON },
        { "Workspace", "workspace", TEXT },
};

static void print_value(struct json_object *value, enum format format)
{
        char buffer[HUMAN_SIZE];
        const char *text = json_object_get_string(value);

        if (format == BYTES)
                text = human_bytes((uint64_t) json_object_get_int64(value), buffer);
        else if (format == DURATION)
                text = human_duration((usec_t) json_object_get_int64(value), buffer);
        else if (format == JSON)
                text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        print_safely(text, strlen(text));
}

static void print_last_exit(struct json_object *session)
{
        struct json_object *exit = field_object(session, "last_exit");
        int signal_number = (int) field_int(exit, "signal", 0);
        const char *signal_name = sigabbrev_np(signal_number);

        if (!exit)
                return;
        printf("%*s: pid %" PRId64, LABEL_WIDTH, "Last exit", field_int(exit, "pid", 0));
        if (signal_name)
                printf(", killed by SIG%s\n", signal_name);
        else if (signal_number)
                printf(", killed by signal %d\n", signal_number);
        else
                printf(", exit status %" PRId64 "\n", field_int(exit, "status", 0));
}

static void print_last_lines(struct json_object *session)
{
        const char *lines = field_string(session, "last_lines");

        if (!lines || !lines[0])
                return;
        putchar('\n');
        print_lines_safely(stdout, lines);
        if (lines[strlen(lines) - 1] != '\n')
                putchar('\n');
}

static void print_session(struct json_object *session)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct json_object *value;

                if (!json_object_object_get_ex(session, rows[i].member, &value) || !value ||
                    streq(json_object_get_string(value), ""))
                        continue;
                printf("%*s: ", LABEL_WIDTH, rows[i].label);
                print_value(value, rows[i].format);
                putchar('\n');
        }
        usage_print(session, LABEL_WIDTH);
        print_last_exit(session);
        print_last_lines(session);
}

static int run(const struct command *self, int argc, char **argv)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
        struct json_writer parameters = { .data = NULL };
        const char *control = NULL;
        bool json = false;
        struct varlink_answer answer;
        int first, r;

        const struct option_spec options[] = { OPTION_JSON(&json), OPTION_CONTROL(&control) };

        r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);
        if (r != 0)
                return options_exit(r);
        if (argc - first != 1)
                return usage_error(self, "name one session; `envmux ps` lists them");
        json_writer_text(&parameters, "{\"id\":");
        json_writer_string(&parameters, argv[first]);
        json_writer_text(&parameters, "}");
        r = client_ask(control, "Show", &parameters, &client, &answer);
        if (r != CTL_OK)
                return r;
        if (json)
                client_print_json(&answer, "session");
        else
                print_session(field_object(answer.parameters, "session"));
        return CTL_OK;
}

const struct command command_show = {
        .name = "show",
        .synopsis = "[--json] ID",
        .summary = "Show one session",
        .details = "ID is a session id, its unambiguous beginning (4 digits or more), or SERVER/KEY. Sessions\n"
                   "that ended lately are remembered, with the reason and the backend's last lines.",
        .run = run,
};
