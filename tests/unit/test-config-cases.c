/* Runs config-cases.txt: every mistake is found, all in one run, with its place and what to do; and the
 * few cases that such a file cannot hold. */
#include "common/fd.h"
#include "tests/unit/config-fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define LAKE(members) "{\"mcpServers\": {\"lake\": {" members "}}}"

static const char title_mark[] = "\n### ", report_mark[] = "\n==>\n";

/* Takes the next case off *text (which begins with its title), in place. False when there is none. */
static bool next_case(char **text, char **ret_title, char **ret_file, char **ret_report)
{
        char *title = *text, *file = strchr(title, '\n'), *report = file ? strstr(file, report_mark) : NULL;

        if (!*title)
                return false;
        if (!report)
                fail_msg("the case \"%.40s\" has no report", title);
        *file++ = '\0';
        report[1] = '\0'; /* the file keeps its last line feed */
        report += strlen(report_mark);

        char *end = strstr(report, title_mark);

        *text = end ? end + strlen(title_mark) : report + strlen(report);
        if (end)
                *end = '\0';
        *ret_title = title;
        *ret_file = file;
        *ret_report = report;
        return true;
}

/* True when a line of the report is a mistake. */
static bool holds_mistake(const char *report)
{
        for (const char *line = report; *line; line = strchr(line, '\n') + 1)
                if (!memmem(line, strcspn(line, "\n"), ": note: ", 8))
                        return true;
        return false;
}

static void cases_say_what_they_should(void **state)
{
        const char *srcdir = getenv("srcdir");
        _cleanup_free_ char *path = NULL, *text = NULL;
        char *rest, *title, *file, *report;
        unsigned n_cases = 0, n_failed = 0;
        struct fixture f;

        assert_true(asprintf(&path, "%s/tests/unit/config-cases.txt", srcdir ? srcdir : ".") > 0);
        assert_int_equal(fd_read_file_at(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
        unsetenv("LAKE_TEST_UNSET");
        fixture_init(&f);
        rest = strstr(text, title_mark) + strlen(title_mark);
        for (; next_case(&rest, &title, &file, &report); n_cases++) {
                int expected = holds_mistake(report) ? -EINVAL : 0, r = fixture_load(&f, file);

                if (r == expected && streq(f.said, report) && !f.config == !!expected)
                        continue;
                print_error("%s: config_load returned %d and said\n%s", title, r, f.said);
                n_failed++;
        }
        fixture_done(&f);
        assert_true(n_cases > 50);
        assert_int_equal(n_failed, 0);
}

static void assert_said(const char *text, const char *expected)
{
        struct fixture f;

        fixture_init(&f);
        assert_int_equal(fixture_load(&f, text), -EINVAL);
        assert_string_equal(f.said, expected);
        assert_null(f.config);
        fixture_done(&f);
}

static void unprintable_files_are_refused(void **state)
{
        assert_said("", "1:1: ends too early (a bracket is not closed?)\n");
        assert_said("{\"a\": \"\xff\"}", "1:8: not JSON: invalid utf-8 string\n");
}

static void a_byte_order_mark_is_fine(void **state)
{
        struct fixture f;

        fixture_init(&f);
        assert_int_equal(fixture_load(&f, "\xEF\xBB\xBF" LAKE("\"command\": \"sh\"")), 0);
        fixture_done(&f);
}

static void deep_nesting_is_bounded(void **state)
{
        char text[2048] = "{\"a\": ";
        size_t n = strlen(text);

        memset(text + n, '[', 1000);
        assert_said(text, "1:38: nested too deep\n");
}

static void a_file_that_cannot_be_read_is_reported(void **state)
{
        struct config *config = NULL;
        struct config_report report = {};

        assert_int_equal(config_load("/no/such/file", NULL, &config, &report), -ENOENT);
        assert_null(config);
        assert_int_equal(report.n_mistakes, 1);
        assert_string_equal(report.notes[0].text, "cannot be read: No such file or directory");
        config_report_done(&report);
}

static void a_large_file_is_refused(void **state)
{
        _cleanup_free_ char *text = malloc((4 << 20) + 2);

        memset(text, ' ', (4 << 20) + 1);
        text[(4 << 20) + 1] = '\0';

        struct fixture f;

        fixture_init(&f);
        assert_int_equal(fixture_load(&f, text), -EFBIG);
        assert_string_equal(f.said, ": larger than 4 MiB\n");
        fixture_done(&f);
}

static void too_many_servers_are_refused(void **state)
{
        char *text = NULL;
        size_t size;
        FILE *stream = open_memstream(&text, &size);

        fputs("{\"mcpServers\": {", stream);
        for (int i = 0; i <= 1000; i++)
                fprintf(stream, "\"a%d\": {\"command\": \"sh\"},", i);
        fputs("}}", stream);
        fclose(stream);
        assert_said(text, "mcpServers.a1000: more than 1000 servers\n");
        free(text);
}

static void env_files_are_checked(void **state)
{
        struct fixture f;

        fixture_init(&f);
        fixture_write(&f, "bad.env", "A=1\nnonsense\nB=\"open\n=x\nC='a' b\nENVMUX_X=1\n");
        assert_int_equal(fixture_load(&f, LAKE("\"command\": \"sh\", \"envFile\": \"bad.env\"")), -EINVAL);
        assert_string_equal(f.said, "mcpServers.lake.envFile: line 2 of the file is not NAME=VALUE\n"
                            "mcpServers.lake.envFile: line 3 of the file: the value of B is not understood\n"
                            "mcpServers.lake.envFile: line 4 of the file is not NAME=VALUE\n"
                            "mcpServers.lake.envFile: line 5 of the file: the value of C is not understood\n"
                            "mcpServers.lake.envFile: variables named ENVMUX_… are set by envmux\n");
        assert_int_equal(fixture_load(&f, LAKE("\"command\": \"sh\", \"envFile\": \"/no/such.env\"")), -EINVAL);
        assert_string_equal(f.said, "mcpServers.lake.envFile: /no/such.env cannot be read: No such file or "
                                    "directory\n");
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(cases_say_what_they_should),
                cmocka_unit_test(unprintable_files_are_refused),
                cmocka_unit_test(a_byte_order_mark_is_fine),
                cmocka_unit_test(deep_nesting_is_bounded),
                cmocka_unit_test(a_file_that_cannot_be_read_is_reported),
                cmocka_unit_test(a_large_file_is_refused),
                cmocka_unit_test(too_many_servers_are_refused),
                cmocka_unit_test(env_files_are_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
