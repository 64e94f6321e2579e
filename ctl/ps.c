/* `envmux ps`: one line per session. */
#include "ctl/client.h"
#include "ctl/fields.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

static const struct table_column columns[] = {
        { .title = "ID" },
        { .title = "SERVER" },
        { .title = "KEY", .is_flexible = true },
        { .title = "STATE" },
        { .title = "SINCE", .is_right = true },
        { .title = "IDLE", .is_right = true },
        { .title = "GEN", .is_right = true },
        { .title = "PID", .is_right = true },
        { .title = "REQUESTS", .is_right = true },
        { .title = "IN", .is_right = true },
        { .title = "OUT", .is_right = true },
        { .title = "MEMORY", .is_right = true },
        { .title = "CPU", .is_right = true },
        { .title = "TASKS", .is_right = true },
        { .title = "WHY", .is_flexible = true }, /* only where ended sessions are listed */
};

static const char *number(char buffer[static HUMAN_SIZE], int64_t value)
{
        snprintf(buffer, HUMAN_SIZE, "%" PRId64, value);
        return buffer;
}

/* Time in the present state; clocks may have been set back since. */
static usec_t age_usec(struct json_object *session)
{
        usec_t now = now_realtime_usec(), since = (usec_t) field_int(session, "since_usec", 0);

        return now > since ? now - since : 0;
}

static int add_row(struct table *table, struct json_object *session)
{
        char since[HUMAN_SIZE], idle[HUMAN_SIZE], generation[HUMAN_SIZE], pid[HUMAN_SIZE], requests[HUMAN_SIZE],
                in[HUMAN_SIZE], out[HUMAN_SIZE], memory[HUMAN_SIZE], cpu[HUMAN_SIZE], tasks[HUMAN_SIZE];
        const char *reason = field_string(session, "reason"), *detail = field_string(session, "detail");
        int64_t backend_pid = field_int(session, "backend_pid", 0), idle_usec = field_int(session, "idle_usec", 0);

        const char *const cells[ELEMENTSOF(columns)] = {
                field_string(session, "id"),
                field_string(session, "server"),
                field_string(session, "key"),
                field_string(session, "sub_state"),
                human_duration(age_usec(session), since),
                idle_usec > 0 ? human_duration((usec_t) idle_usec, idle) : NULL,
                number(generation, field_int(session, "generation", 0)),
                backend_pid > 0 ? number(pid, backend_pid) : NULL,
                number(requests, field_int(session, "requests", 0)),
                human_bytes((uint64_t) field_int(session, "bytes_in", 0), in),
                human_bytes((uint64_t) field_int(session, "bytes_out", 0), out),
                usage_memory(session, memory),
                usage_cpu(session, cpu),
                usage_tasks(session, tasks),
                detail ? detail : reason,
        };

        return table_add(table, cells);
}

static int print_sessions(struct json_object *parameters, bool with_ended)
{
        _cleanup_(table_freep) struct table *table = table_new(columns, ELEMENTSOF(columns) - !with_ended);
        size_t n;
        struct json_object *sessions = field_array(parameters, "sessions", &n);

        for (size_t i = 0; i < n; i++)
                if (!table || add_row(table, json_object_array_get_idx(sessions, i)) < 0)
                        return ctl_fail("out of memory");
        if (table)
                table_print(table);
        return CTL_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
        struct json_writer parameters = { .data = NULL };
        const char *control = NULL, *server = NULL;
        bool json = false, all = false;
        struct varlink_answer answer;
        int first, r;

        const struct option_spec options[] = {
                { .letter = 'a', .name = "all", .help = "also sessions that ended lately", .flag = &all },
                { .letter = 's', .name = "server", .value_name = "NAME", .help = "only of this server",
                  .value = &server },
                OPTION_JSON(&json),
                OPTION_CONTROL(&control),
        };

        r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);
        if (r != 0)
                return options_exit(r);
        if (first < argc)
                return usage_error(self, "no argument is expected; did you mean `envmux show %s`?", argv[first]);
        json_writer_format(&parameters, "{\"usage\":true,\"ended\":%s", all ? "true" : "false");
        if (server) {
                json_writer_text(&parameters, ",\"server\":");
                json_writer_string(&parameters, server);
        }
        json_writer_text(&parameters, "}");
        r = client_ask(control, "List", &parameters, &client, &answer);
        if (r != CTL_OK)
                return r;
        if (!json)
                return print_sessions(answer.parameters, all);
        client_print_json(&answer, "sessions");
        return CTL_OK;
}

const struct command command_ps = {
        .name = "ps",
        .synopsis = "[--all] [--server NAME] [--json]",
        .summary = "List sessions",
        .details = "SINCE is the time in the present STATE, IDLE the time since the last request ended, GEN\n"
                   "counts the backends that the key has had, IN and OUT are bytes from and to clients; MEMORY,\n"
                   "CPU (time) and TASKS are what the backend uses, - where nobody counts it.\n"
                   "With --json an array with one object per session, as `envmux show --json` prints it.",
        .run = run,
};
