/* `envmux top`: what the sessions use, again and again. */
#include "ctl/client.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define CLEAR "\033[H\033[2J"
#define DELAY_DEFAULT_SEC 2
#define DELAY_MAX_SEC 3600
#define COUNT_MAX 1000000
#define FIRST_USEC (500 * USEC_PER_MSEC) /* on a terminal, for which nobody likes to wait */
#define HEAD_LINES 3

static const struct table_column columns[] = {
        { .title = "ID" },
        { .title = "SERVER" },
        { .title = "KEY", .is_flexible = true },
        { .title = "STATE" },
        { .title = "CPU%", .is_right = true },
        { .title = "MEMORY", .is_right = true },
        { .title = "PEAK", .is_right = true },
        { .title = "TASKS", .is_right = true },
        { .title = "CPU", .is_right = true },
        { .title = "PRESSURE", .is_right = true },
        { .title = "REQUESTS", .is_right = true },
};

struct row {
        struct json_object *session;
        double percent; /* of one CPU since the last look; -1: not known */
};

struct top {
        const char *server;
        bool json, is_terminal, by_memory;
        usec_t delay_usec;
        uint64_t count;              /* looks to print; 0: no end */
        struct varlink_client *client;
        struct json_object *before;  /* ID → CPU time at the last look */
        usec_t before_usec;
};

/* ---- one look ----------------------------------------------------------------------------------------- */

static int ask(struct top *top, struct varlink_answer *ret)
{
        struct json_writer parameters = { .data = NULL };

        json_writer_text(&parameters, "{\"usage\":true");
        if (top->server) {
                json_writer_text(&parameters, ",\"server\":");
                json_writer_string(&parameters, top->server);
        }
        json_writer_text(&parameters, "}");
        return client_call(top->client, "List", &parameters, ret);
}

static double percent_of(const struct top *top, struct json_object *session, usec_t now)
{
        int64_t cpu = usage_cpu_usec(session), before = field_int(top->before, field_string(session, "id"), -1);

        if (cpu < 0 || before < 0 || cpu < before || now <= top->before_usec)
                return -1;
        return 100.0 * (double) (cpu - before) / (double) (now - top->before_usec);
}

static void remember(struct top *top, struct json_object *sessions, size_t n, usec_t now)
{
        json_object_put(top->before);
        top->before = json_object_new_object();
        top->before_usec = now;
        for (size_t i = 0; i < n; i++) {
                struct json_object *session = json_object_array_get_idx(sessions, i);

                json_object_object_add(top->before, field_string(session, "id"),
                                       json_object_new_int64(usage_cpu_usec(session)));
        }
}

static int64_t memory_of(struct json_object *session)
{
        return field_int(field_object(session, "usage"), "memory_bytes", -1);
}

/* The busiest first, then the one with most CPU time so far. */
static int compare_cpu(const void *a, const void *b)
{
        const struct row *x = a, *y = b;
        int64_t x_usec = usage_cpu_usec(x->session), y_usec = usage_cpu_usec(y->session);

        if (x->percent != y->percent)
                return x->percent < y->percent ? 1 : -1;
        return (x_usec < y_usec) - (x_usec > y_usec);
}

static int compare_memory(const void *a, const void *b)
{
        const struct row *x = a, *y = b;
        int64_t x_bytes = memory_of(x->session), y_bytes = memory_of(y->session);

        return x_bytes != y_bytes ? (x_bytes < y_bytes) - (x_bytes > y_bytes) : compare_cpu(a, b);
}

/* ---- printing ------------------------------------------------------------------------------------------ */

static int add_row(struct table *table, const struct row *row)
{
        struct json_object *s = row->session;
        char percent[HUMAN_SIZE], memory[HUMAN_SIZE], peak[HUMAN_SIZE], tasks[HUMAN_SIZE], cpu[HUMAN_SIZE],
                pressure[HUMAN_SIZE], requests[HUMAN_SIZE];

        snprintf(percent, sizeof(percent), "%.1f", row->percent);
        snprintf(requests, sizeof(requests), "%" PRId64, field_int(s, "requests", 0));

        const char *const cells[ELEMENTSOF(columns)] = {
                field_string(s, "id"),
                field_string(s, "server"),
                field_string(s, "key"),
                field_string(s, "sub_state"),
                row->percent < 0 ? NULL : percent,
                usage_memory(s, memory),
                usage_memory_peak(s, peak),
                usage_tasks(s, tasks),
                usage_cpu(s, cpu),
                usage_pressure(s, pressure),
                requests,
        };

        return table_add(table, cells);
}

/* Rows that fit under the head. */
static size_t rows_max(const struct top *top)
{
        struct winsize size;

        if (!top->is_terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row <= HEAD_LINES)
                return SIZE_MAX;
        return size.ws_row - HEAD_LINES;
}

static void print_sum(const struct row *rows, size_t n)
{
        char memory_text[HUMAN_SIZE];
        double percent = 0;
        int64_t memory = 0;

        for (size_t i = 0; i < n; i++) {
                percent += MAX_OF(rows[i].percent, 0.0);
                memory += MAX_OF(memory_of(rows[i].session), (int64_t) 0);
        }
        printf("%zu session%s, %.1f%% of a CPU", n, n == 1 ? "" : "s", percent);
        if (memory > 0)
                printf(", %s of memory", human_bytes((uint64_t) memory, memory_text));
        putchar('\n');
}

static int print_table(const struct top *top, const struct row *rows, size_t n)
{
        _cleanup_(table_freep) struct table *table = table_new(columns, ELEMENTSOF(columns));

        for (size_t i = 0; i < n && i < rows_max(top); i++)
                if (!table || add_row(table, &rows[i]) < 0)
                        return ctl_fail("out of memory");
        if (top->is_terminal)
                fputs(CLEAR, stdout);
        print_sum(rows, n);
        if (table)
                table_print(table);
        return CTL_OK;
}

static int print_json(const struct row *rows, size_t n)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; i < n; i++) {
                if (rows[i].percent >= 0)
                        json_object_object_add(rows[i].session, "cpu_percent", json_object_new_double(rows[i].percent));
                json_object_array_add(list, json_object_get(rows[i].session));
        }
        puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(list);
        return CTL_OK;
}

static int look(struct top *top, bool is_printed)
{
        struct varlink_answer answer;
        int r = ask(top, &answer);

        if (r != CTL_OK)
                return r;
        usec_t now = now_usec();
        size_t n;
        struct json_object *sessions = field_array(answer.parameters, "sessions", &n);
        _cleanup_free_ struct row *rows = calloc(n + 1, sizeof(*rows));

        if (!rows)
                return ctl_fail("out of memory");
        for (size_t i = 0; i < n; i++) {
                rows[i].session = json_object_array_get_idx(sessions, i);
                rows[i].percent = percent_of(top, rows[i].session, now);
        }
        qsort(rows, n, sizeof(*rows), top->by_memory ? compare_memory : compare_cpu);
        remember(top, sessions, n, now);
        if (!is_printed)
                return CTL_OK;
        return top->json ? print_json(rows, n) : print_table(top, rows, n);
}

static int refresh(struct top *top)
{
        usec_t wait = top->is_terminal ? MIN_OF(top->delay_usec, FIRST_USEC) : top->delay_usec;
        int r = look(top, false);

        for (uint64_t i = 0; r == CTL_OK && (top->count == 0 || i < top->count); i++) {
                const struct timespec time = { .tv_sec = (time_t) (wait / USEC_PER_SEC),
                                               .tv_nsec = (long) (wait % USEC_PER_SEC * 1000) };

                (void) nanosleep(&time, NULL);
                r = look(top, true);
                if (fflush(stdout) < 0)
                        break;
                wait = top->delay_usec;
        }
        return r;
}

/* ---- the command ----------------------------------------------------------------------------------------- */

/* A number between low and high, else a mistake. */
static bool read_number(const char *text, double low, double high, double *ret)
{
        char *end;
        double number = strtod(text, &end);

        if (end == text || *end || !(number >= low && number <= high))
                return false;
        *ret = number;
        return true;
}

static int run(const struct command *self, int argc, char **argv)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
        const char *control = NULL, *delay = NULL, *count = NULL, *sort = "cpu";
        struct top top = { .is_terminal = isatty(STDOUT_FILENO) == 1 };
        double delay_sec = DELAY_DEFAULT_SEC, looks = top.is_terminal ? 0 : 1;
        int first, r;

        const struct option_spec options[] = {
                { .letter = 's', .name = "server", .value_name = "NAME", .help = "only of this server",
                  .value = &top.server },
                { .letter = 'd', .name = "delay", .value_name = "SECONDS", .help = "between two looks (2)", .value = &delay },
                { .letter = 'n', .name = "count", .value_name = "N",
                  .help = "looks to print (on a terminal without end, else 1)", .value = &count },
                { .letter = 'o', .name = "sort", .value_name = "BY", .help = "cpu or memory (cpu)", .value = &sort },
                OPTION_JSON(&top.json),
                OPTION_CONTROL(&control),
        };

        r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);
        if (r != 0)
                return options_exit(r);
        if (first < argc)
                return usage_error(self, "no argument is expected");
        if (delay && !read_number(delay, 0.1, DELAY_MAX_SEC, &delay_sec))
                return usage_error(self, "--delay is a number of seconds, 0.1 to %d", DELAY_MAX_SEC);
        if (count && !read_number(count, 1, COUNT_MAX, &looks))
                return usage_error(self, "--count is a number, 1 to %d", COUNT_MAX);
        if (!streq(sort, "cpu") && !streq(sort, "memory"))
                return usage_error(self, "--sort is cpu or memory");
        top.by_memory = streq(sort, "memory");
        top.delay_usec = (usec_t) (delay_sec * (double) USEC_PER_SEC);
        top.count = (uint64_t) looks;
        top.is_terminal = top.is_terminal && !top.json;
        r = client_open(control, &client);
        top.client = client;
        if (r == CTL_OK)
                r = refresh(&top);
        json_object_put(top.before);
        return r;
}

const struct command command_top = {
        .name = "top",
        .synopsis = "[--server NAME] [--delay SECONDS] [--count N] [--sort BY] [--json]",
        .summary = "Show what the sessions use, refreshed",
        .details = "CPU% is of one CPU since the last look, PEAK the most memory at a time, CPU the time so far,\n"
                   "PRESSURE the share of the last ten seconds in which it waited for CPU, memory or I/O, whichever\n"
                   "is most. A dash: nobody counts it here; memory and tasks need controllers of cgroups. Where\n"
                   "standard output is no terminal it prints once, after one delay. With --json an array of sessions\n"
                   "at each look, with cpu_percent.",
        .run = run,
};
