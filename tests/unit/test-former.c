/* The configuration that a supervisor keeps: when it counts, and that it means the same without its files. */
#include "common/fd.h"
#include "supervisor/former.h"
#include "supervisor/supervisor.h"
#include "tests/unit/config-fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct test {
        struct fixture fixture;
        struct supervisor_options options;
        char *config, *record;
        struct config *former;
        struct config_report report;
};

static void setup(struct test *t, const char *text)
{
        *t = (struct test) { .former = NULL };
        fixture_init(&t->fixture);
        t->fixture.has_drop_ins = true;
        fixture_drop_in(&t->fixture, "pond.json", "// \xFF\n{\"mcpServers\": {\"pond\": {\"command\": \"./pond\", \"cwd\": \".\"}}}");
        fixture_write(&t->fixture, "variables", "DEPTH=3\n");
        assert_int_equal(fixture_load(&t->fixture, text), 0);
        assert_true(asprintf(&t->config, "%s/envmux.json", t->fixture.folder) > 0);
        assert_true(asprintf(&t->record, "%s/records/0123456789abcdef", t->fixture.folder) > 0);
        t->options = (struct supervisor_options) { .runtime = t->fixture.folder, .config = t->config };
        former_keep(&t->options, t->fixture.config);
}

static void leave_session(struct test *t)
{
        _cleanup_free_ char *folder = NULL;

        assert_true(asprintf(&folder, "%s/records", t->fixture.folder) > 0);
        assert_int_equal(fd_mkdir_parents(folder, 0700), 0);
        assert_int_equal(fd_write_file_atomic_at(AT_FDCWD, t->record, "{}", 2, 0600), 0);
}

static void lose_files(struct test *t)
{
        _cleanup_free_ char *drop_ins = NULL, *variables = NULL;

        assert_true(asprintf(&drop_ins, "%s/conf.d", t->fixture.folder) > 0);
        assert_true(asprintf(&variables, "%s/variables", t->fixture.folder) > 0);
        assert_int_equal(fd_remove_tree_at(AT_FDCWD, drop_ins), 0);
        assert_int_equal(unlink(variables), 0);
        assert_int_equal(unlink(t->config), 0);
}

static int load(struct test *t)
{
        return former_load(t->fixture.folder, t->config, &t->former, &t->report);
}

static void teardown(struct test *t)
{
        config_free(t->former);
        config_report_done(&t->report);
        free(t->config);
        free(t->record);
        fixture_done(&t->fixture);
}

#define LAKE "{\"mcpServers\": {\"lake\": {\"command\": \"sh\", \"envFile\": \"variables\"}}, \"envmux\": {\"queue\": 7}}"

static void it_means_the_same_without_its_files(void **state)
{
        struct test t;

        setup(&t, LAKE);
        leave_session(&t);
        lose_files(&t);
        assert_int_equal(load(&t), 0);
        assert_true(t.former->is_former);
        assert_int_equal(t.report.n_mistakes, 0);
        assert_int_equal(t.former->queue_max, 7);
        assert_int_equal(t.former->n_servers, 2);
        for (size_t i = 0; i < 2; i++)
                assert_string_equal(t.former->servers[i]->definition_hash, t.fixture.config->servers[i]->definition_hash);
        assert_string_equal(t.former->servers[1]->cwd, t.fixture.config->servers[1]->cwd);
        assert_string_equal(t.former->files[1], t.fixture.config->files[1]);
        teardown(&t);
}

static void it_counts_only_while_something_is_left(void **state)
{
        struct test t;

        setup(&t, LAKE);
        assert_int_equal(load(&t), -ENOENT);
        leave_session(&t);
        assert_int_equal(unlink(t.record), 0);
        assert_int_equal(load(&t), -ENOENT);
        leave_session(&t);
        former_remove(&t.options);
        assert_int_equal(load(&t), -ENOENT);
        teardown(&t);
}

static void that_of_another_file_is_not_ours(void **state)
{
        struct test t;

        setup(&t, LAKE);
        leave_session(&t);
        assert_int_equal(former_load(t.fixture.folder, "/etc/other.json", &t.former, &t.report), -ENOENT);
        teardown(&t);
}

static void what_has_become_a_mistake_costs_one_server(void **state)
{
        struct test t;

        assert_int_equal(setenv("FORMER_TEST", "x", 1), 0);
        setup(&t, "{\"mcpServers\": {\"lake\": {\"command\": \"sh\", \"args\": [\"${FORMER_TEST}\"]}}}");
        leave_session(&t);
        assert_int_equal(unsetenv("FORMER_TEST"), 0);
        assert_int_equal(load(&t), 0);
        assert_int_equal(t.report.n_mistakes, 1);
        assert_int_equal(t.former->n_servers, 1);
        assert_string_equal(t.former->servers[0]->name, "pond");
        teardown(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_means_the_same_without_its_files),
                cmocka_unit_test(it_counts_only_while_something_is_left),
                cmocka_unit_test(that_of_another_file_is_not_ours),
                cmocka_unit_test(what_has_become_a_mistake_costs_one_server),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
