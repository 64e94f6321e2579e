/* The parts of the configuration on their own: durations, sizes, suggestions, commands, limits of the
 * machine, and that the manual says what the table says. */
#include "supervisor/check.h"
#include "supervisor/config_command.h"
#include "supervisor/config_duration.h"
#include "supervisor/config_json_schema.h"
#include "supervisor/config_machine.h"
#include "supervisor/config_range.h"
#include "supervisor/config_schema.h"
#include "supervisor/config_size.h"
#include "tests/unit/config-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <json-c/json.h>

static void assert_duration(const char *text, usec_t expected)
{
        usec_t usec;

        assert_int_equal(config_duration_parse(text, &usec), 0);
        assert_int_equal(usec, expected);
}

static void durations_are_read(void **state)
{
        static const char *const bad[] = { "", " ", "min", "1x", "-1s", "1 2", "1h 5", "1.s", ".5s", "1,5s",
                                           "1 H", "0x10s", "1e3" };
        usec_t usec;

        assert_duration("30min", 30 * USEC_PER_MINUTE);
        assert_duration("24h", 24 * USEC_PER_HOUR);
        assert_duration("1h30min", 90 * USEC_PER_MINUTE);
        assert_duration(" 1 hour 30 minutes ", 90 * USEC_PER_MINUTE);
        assert_duration("90", 90 * USEC_PER_SEC);
        assert_duration("1.5h", 90 * USEC_PER_MINUTE);
        assert_duration("250ms", 250 * USEC_PER_MSEC);
        assert_duration("0", 0);
        assert_duration("2w1d", 15 * 24 * USEC_PER_HOUR);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (config_duration_parse(bad[i], &usec) != -EINVAL)
                        fail_msg("\"%s\" is taken for a duration", bad[i]);
        assert_int_equal(config_duration_parse("10001d", &usec), -ERANGE);
        assert_int_equal(config_duration_parse("9999d9999d", &usec), -ERANGE);
        assert_int_equal(config_duration_parse("999999999999999999999999999999999999999999s", &usec), -ERANGE);
}

static void durations_are_written_as_they_are_read(void **state)
{
        char text[CONFIG_DURATION_SIZE];

        assert_string_equal(config_duration_format(90 * USEC_PER_MINUTE, text), "1h30min");
        assert_string_equal(config_duration_format(24 * USEC_PER_HOUR, text), "1d");
        assert_string_equal(config_duration_format(1500 * USEC_PER_MSEC, text), "1s500ms");
        assert_string_equal(config_duration_format(0, text), "0s");
        assert_duration(config_duration_format(UINT64_C(694861001001), text), UINT64_C(694861001001));
        (void) config_duration_format(UINT64_MAX, text);
        assert_true(strlen(text) < CONFIG_DURATION_SIZE);
}

static void sizes_are_read_and_written(void **state)
{
        static const char *const bad[] = { "", "M", "1 m", "-1", "1MBB", "1.5M", "1P", " 1", "1Mi" };
        char text[CONFIG_SIZE_SIZE];
        uint64_t size;

        assert_int_equal(config_size_parse("512M", &size), 0);
        assert_int_equal(size, 512 << 20);
        assert_int_equal(config_size_parse("64 KiB", &size), 0);
        assert_int_equal(size, 64 << 10);
        assert_int_equal(config_size_parse("2GB", &size), 0);
        assert_int_equal(size, UINT64_C(2) << 30);
        assert_int_equal(config_size_parse("100", &size), 0);
        assert_int_equal(size, 100);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (config_size_parse(bad[i], &size) != -EINVAL)
                        fail_msg("\"%s\" is taken for a size", bad[i]);
        assert_int_equal(config_size_parse("18446744073709551616", &size), -ERANGE);
        assert_int_equal(config_size_parse("99999999T", &size), -ERANGE);
        assert_string_equal(config_size_format(512 << 20, text), "512M");
        assert_string_equal(config_size_format(1000, text), "1000");
        assert_string_equal(config_size_format(0, text), "0");
        assert_string_equal(config_size_format(UINT64_MAX, text), "18446744073709551615");
}

static void ranges_are_read(void **state)
{
        static const char *const bad[] = { "", "5", "5-", "-5", "9-5", "5-5", "5-9x", " 5-9", "5 - 9", "a-b" };
        struct config_range range;

        assert_int_equal(config_range_parse("1879048192-1879113727", 65536, UINT32_MAX, &range), 0);
        assert_true(range.first == 1879048192 && range.last == 1879113727);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(config_range_parse(bad[i], 1, UINT32_MAX, &range), -EINVAL);
        assert_int_equal(config_range_parse("0-70000", 65536, UINT32_MAX, &range), -ERANGE);
        assert_int_equal(config_range_parse("70000-99999999999999999999", 65536, UINT32_MAX, &range), -ERANGE);
        assert_int_equal(config_range_parse("70000-80001", 65536, 80000, &range), -ERANGE);
}

static void misspellings_are_recognised(void **state)
{
        static const char *const words[] = { "idle_timeout", "lifetime", "env", "args", "command", NULL };

        assert_string_equal(config_report_suggest("idel_timeout", words), "idle_timeout");
        assert_string_equal(config_report_suggest("idleTimeout", words), "idle_timeout");
        assert_string_equal(config_report_suggest("idle-timeout", words), "idle_timeout");
        assert_string_equal(config_report_suggest("Command", words), "command");
        assert_string_equal(config_report_suggest("arg", words), "args");
        assert_null(config_report_suggest("url", words));
        assert_null(config_report_suggest("e", words));
        assert_null(config_report_suggest("", words));
        assert_null(config_report_suggest("a_very_long_word_that_is_longer_than_any_key_of_ours_could_be", words));
}

static void commands_are_found(void **state)
{
        _cleanup_free_ char *path = NULL, *absolute = NULL, *bundled = NULL, *none = NULL;

        assert_int_equal(config_command_find("sh", "relative:/no/such:/bin:/usr/bin", "/", &path), 0);
        assert_string_equal(path, "/bin/sh");
        assert_int_equal(config_command_find("/bin/sh", "", "/", &absolute), 0);
        assert_string_equal(absolute, "/bin/sh");
        assert_int_equal(config_command_find("sh", "/no/such", "/bin", &bundled), 0);
        assert_string_equal(bundled, "/bin/sh");
        assert_int_equal(config_command_find("sh", "/no/such", "/no/such", &none), -ENOENT);
        assert_int_equal(config_command_find("/bin", "", "/", &none), -ENOENT);
}

static const struct server_config server = { .name = (char *) "lake", .sessions_max = 200 };

static void assert_machine(const struct config_machine *machine, const char *expected)
{
        const struct server_config *servers[] = { &server };
        struct config config = {
                .servers = (struct server_config **) servers, .n_servers = 1, .sessions_max = 1000, .clients_max = 1000,
                .routers = 2,
        };
        struct config_report report = { .file = "F" };
        char *text = NULL;
        size_t size;
        FILE *stream = open_memstream(&text, &size);

        config_machine_judge(machine, &config, &report);
        check_print_report(stream, &report);
        fclose(stream);
        assert_string_equal(text, expected);
        assert_int_equal(report.n_mistakes, 0);
        config_report_done(&report);
        free(text);
}

static void limits_of_the_machine_are_compared(void **state)
{
        assert_machine(&(struct config_machine) { .processes = 404, .processes_limit = "kernel.pid_max", .files = 2128,
                                                  .memory_bytes = UINT64_C(200) * 16 << 20 }, "");
        assert_machine(&(struct config_machine) { .processes = 403, .processes_limit = "kernel.pid_max", .files = 500,
                                                  .memory_bytes = UINT64_C(1) << 30 },
                       "F: envmux.max_sessions: note: 200 sessions need at least 404 processes, but kernel.pid_max is "
                       "403\n"
                       "F: envmux.max_sessions: note: 200 sessions need 528 open files in the supervisor, but the "
                       "limit (ulimit -Hn) is 500\n"
                       "F: envmux.max_clients: note: 1000 clients need 2128 open files in each router, but the limit "
                       "(ulimit -Hn) is 500\n"
                       "F: envmux.max_sessions: note: 200 sessions would have 5 MiB of memory each; a server written "
                       "in Python or JavaScript takes 50 to 100 MiB\n");
}

static void this_machine_has_limits(void **state)
{
        struct config_machine machine;

        config_machine_read(&machine);
        assert_true(machine.processes > 0 && machine.processes < UINT64_MAX); /* there is always a pid_max */
        assert_true(*machine.processes_limit);
        assert_true(machine.memory_bytes > 0 && machine.memory_bytes < UINT64_MAX);
}

static void reports_are_printed(void **state)
{
        _cleanup_free_ char *expected = NULL;
        struct fixture f;
        char *text = NULL;
        size_t size;
        FILE *stream = open_memstream(&text, &size);

        fixture_init(&f);
        assert_int_equal(fixture_load(&f, "{\"theme\": 1}"), -EINVAL);
        check_print_report(stream, &f.report);
        fclose(stream);
        assert_true(asprintf(&expected, "%1$s/envmux.json: has no \"mcpServers\" (or \"servers\")\n"
                             "%1$s/envmux.json: theme: note: ignored: no key that envmux knows\n", f.folder) > 0);
        assert_string_equal(text, expected);
        free(text);
        fixture_done(&f);
}

static void the_schema_is_json_and_names_every_key(void **state)
{
        _cleanup_free_ char *text = NULL;
        struct json_object *top, *own;

        assert_int_equal(config_json_schema(&text), 0);

        struct json_object *schema = json_tokener_parse(text);

        assert_non_null(schema);
        assert_int_equal(json_pointer_get(schema, "/properties/envmux/properties", &top), 0);
        assert_int_equal(json_pointer_get(schema, "/definitions/entry/properties/envmux/properties", &own), 0);
        for (const struct config_key *key = config_keys; key->name; key++)
                assert_true(json_object_object_get_ex(key->places & CONFIG_TOP ? top : own, key->name, NULL));
        json_object_put(schema);
}

/* ---- the manual ---- */

/* Finds ".It Cm NAME Pq DEFAULT" between two headings of the manual. */
static bool manual_says(const char *section, const struct config_key *key)
{
        const char *end = strstr(section + 1, "\n.S");
        char *line;
        bool found = false;

        assert_true(asprintf(&line, "\n.It Cm %s Pq %s\n", key->name, config_schema_default(key)) > 0);

        const char *at = strstr(section, line);

        found = at && end && at < end;
        free(line);
        return found;
}

static size_t count_items(const char *section)
{
        const char *end = strstr(section + 1, "\n.S"), *at = section;
        size_t n = 0;

        while ((at = strstr(at + 1, "\n.It Cm ")) && at < end)
                n++;
        return n;
}

static void the_manual_and_the_table_agree(void **state)
{
        const char *srcdir = getenv("srcdir");
        _cleanup_free_ char *path = NULL, *manual = NULL;
        size_t n_top = 0, n_server = 0;

        assert_true(asprintf(&path, "%s/packaging/man/envmux.json.5", srcdir ? srcdir : ".") > 0);

        FILE *f = fopen(path, "re");

        assert_non_null(f);
        manual = calloc(1, 256 * 1024);
        assert_true(fread(manual, 1, 256 * 1024 - 1, f) > 0);
        fclose(f);

        const char *entry = strstr(manual, "\n.Ss Keys in an entry\n"), *top = strstr(manual, "\n.Ss Keys at the "
                                                                                              "top\n");

        assert_non_null(entry);
        assert_non_null(top);
        for (const struct config_key *key = config_keys; key->name; key++) {
                bool is_top = key->places & CONFIG_TOP;

                if (!manual_says(is_top ? top : entry, key))
                        fail_msg("envmux.json(5) has no \".It Cm %s Pq %s\"", key->name, config_schema_default(key));
                n_top += is_top;
                n_server += !is_top;
        }
        assert_int_equal(count_items(top), n_top);
        assert_int_equal(count_items(entry), n_server);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(durations_are_read),
                cmocka_unit_test(durations_are_written_as_they_are_read),
                cmocka_unit_test(sizes_are_read_and_written),
                cmocka_unit_test(ranges_are_read),
                cmocka_unit_test(misspellings_are_recognised),
                cmocka_unit_test(commands_are_found),
                cmocka_unit_test(limits_of_the_machine_are_compared),
                cmocka_unit_test(this_machine_has_limits),
                cmocka_unit_test(reports_are_printed),
                cmocka_unit_test(the_schema_is_json_and_names_every_key),
                cmocka_unit_test(the_manual_and_the_table_agree),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
