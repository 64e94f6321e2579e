/* `envmux logs ID`: what a backend wrote to stderr. */
#include "ctl/client.h"
#include "ctl/fields.h"
#include "ctl/logs_journal.h"
#include "ctl/table.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#define LINES_DEFAULT "100"

struct wanted {
        const char *id;
        unsigned long lines_max; /* 0: all */
        bool json;
};

static void print_lines(const struct varlink_answer *answer)
{
        int64_t dropped = field_int(answer->parameters, "dropped", 0);
        size_t n;
        struct json_object *lines = field_array(answer->parameters, "lines", &n);

        if (dropped > 0)
                fprintf(stderr, "envmux: %" PRId64 " lines were lost here\n", dropped);
        for (size_t i = 0; i < n; i++) {
                const char *text = field_string(json_object_array_get_idx(lines, i), "text");

                print_safely(text ? text : "", text ? strlen(text) : 0);
                putchar('\n');
        }
}

/* One object per line. */
static void print_json(const struct varlink_answer *answer)
{
        struct json_slice lines, line;
        size_t cursor = 0;

        if (json_get(answer->text, "lines", &lines) < 0)
                return;
        while (json_next(lines, &cursor, NULL, &line) > 0)
                printf("%.*s\n", (int) line.size, line.data);
}

static void print_answer(const struct wanted *wanted, const struct varlink_answer *answer)
{
        if (wanted->json)
                print_json(answer);
        else
                print_lines(answer);
}

/* Its worker is gone with all that it kept: the journal has every line, the supervisor remembers the last few. */
static int print_ended(const struct wanted *wanted, const struct varlink_answer *answer, const char *id)
{
        int n = logs_from_journal(id, wanted->lines_max, wanted->json);

        if (n > 0)
                return CTL_OK;
        print_answer(wanted, answer);
        fprintf(stderr, "envmux: the session has ended, and the journal has nothing of it that you may read: these are "
                        "the last lines that are remembered\n");
        return CTL_OK;
}

static bool is_whole_id(const char *text)
{
        return strlen(text) == 16 && strspn(text, "0123456789abcdef") == 16;
}

/* The supervisor may know nothing of a session any more that the journal still tells of. */
static bool is_forgotten(const struct wanted *wanted, const struct varlink_answer *answer)
{
        return answer->error && streq(answer->error, "io.envmux.Control.NoSuchSession") && is_whole_id(wanted->id) &&
               logs_from_journal(wanted->id, wanted->lines_max, wanted->json) > 0;
}

static int follow_answers(struct varlink_client *client, const struct wanted *wanted)
{
        struct varlink_answer answer;

        do {
                int r = varlink_client_receive(client, &answer);

                if (r == 0 && is_forgotten(wanted, &answer))
                        return CTL_OK;
                int status = client_check(r, &answer);

                if (status != CTL_OK)
                        return status;
                const char *ended = field_string(answer.parameters, "ended");

                if (ended)
                        return print_ended(wanted, &answer, ended);
                print_answer(wanted, &answer);
                if (fflush(stdout) < 0)
                        return CTL_FAILED;
        } while (answer.continues);
        return CTL_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
        struct json_writer parameters = { .data = NULL };
        const char *control = NULL, *lines = LINES_DEFAULT;
        struct wanted wanted = { .json = false };
        bool follow = false;
        char *end;
        int first, r;

        const struct option_spec options[] = {
                { .letter = 'f', .name = "follow", .help = "go on with every new line", .flag = &follow },
                { .letter = 'n', .name = "lines", .value_name = "N", .help = "the newest N (" LINES_DEFAULT "; 0: all)",
                  .value = &lines },
                OPTION_JSON(&wanted.json),
                OPTION_CONTROL(&control),
        };

        r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);
        if (r != 0)
                return options_exit(r);
        if (argc - first != 1)
                return usage_error(self, "name one session; `envmux ps` lists them");
        wanted.id = argv[first];
        wanted.lines_max = strtoul(lines, &end, 10);
        if (*end || !strchr("0123456789", lines[0]) || lines[0] == '\0' || wanted.lines_max > INT32_MAX)
                return usage_error(self, "\"%s\" is no number of lines", lines);

        r = client_open(control, &client);
        if (r != CTL_OK)
                return r;
        json_writer_text(&parameters, "{\"id\":");
        json_writer_string(&parameters, wanted.id);
        json_writer_format(&parameters, ",\"lines\":%lu,\"follow\":%s}", wanted.lines_max, follow ? "true" : "false");
        r = client_send(client, "Logs", &parameters);
        if (r != CTL_OK)
                return r;
        if (follow)
                varlink_client_set_timeout(client, USEC_INFINITY);
        return follow_answers(client, &wanted);
}

const struct command command_logs = {
        .name = "logs",
        .synopsis = "[--follow] [--lines N] [--json] ID",
        .summary = "Print what a session's backend wrote to stderr",
        .details = "ID is as for `envmux show`. --follow ends with the session. With --json one object per line.\n"
                   "Of a session that has ended, lines come from the journal, where that may be read.",
        .run = run,
};
