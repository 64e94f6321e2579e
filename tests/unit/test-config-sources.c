/* The files of a configuration: which drop-ins are read, who has the last word, and where mistakes are. */
#include "supervisor/config_sources.h"
#include "tests/unit/config-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#define LAKE "{\"mcpServers\": {\"lake\": {\"command\": \"sh\"}}}"

static void load(struct fixture *f, const char *text, int expected, const char *said)
{
        int r = fixture_load(f, text);

        assert_string_equal(f->said, said);
        assert_int_equal(r, expected);
        assert_int_equal(!f->config, r < 0);
}

static void a_missing_folder_holds_nothing(void **state)
{
        struct fixture f;

        fixture_init(&f);
        f.has_drop_ins = true;
        load(&f, LAKE, 0, "");
        assert_null(f.config->files[1]);
        fixture_done(&f);
}

static void files_are_read_in_the_order_of_their_names(void **state)
{
        const char *expected[] = { "envmux.json", "10-a.json", "9-b.json", "B.json", "a.json", NULL };
        struct fixture f;

        fixture_init(&f);
        fixture_drop_in(&f, "a.json", "{\"envmux\": {\"max_sessions\": 4}}");
        fixture_drop_in(&f, "B.json", "{\"envmux\": {\"max_sessions\": 3}}");
        fixture_drop_in(&f, "10-a.json", "{\"envmux\": {\"max_sessions\": 1, \"queue\": 7}}");
        fixture_drop_in(&f, "9-b.json", "{\"envmux\": {\"max_sessions\": 2}}");
        load(&f, LAKE, 0, "");
        for (size_t i = 0; expected[i]; i++)
                assert_string_equal(strrchr(f.config->files[i], '/') + 1, expected[i]);
        assert_null(f.config->files[5]);
        assert_int_equal(f.config->sessions_max, 4);
        assert_int_equal(f.config->queue_max, 7);
        fixture_done(&f);
}

static void what_editors_leave_is_not_read(void **state)
{
        const char *names[] = { ".hidden.json", "a.json~", "a.json.bak", "a.json.dpkg-old", "#a.json#", ".json",
                                ".a.json.swp", "README", "json", NULL };
        struct fixture f;

        fixture_init(&f);
        for (size_t i = 0; names[i]; i++)
                fixture_drop_in(&f, names[i], "no JSON");
        load(&f, LAKE, 0, "");
        fixture_done(&f);
}

static void a_later_entry_replaces_one_whole(void **state)
{
        _cleanup_free_ char *expected = NULL;
        struct fixture f;

        fixture_init(&f);
        fixture_drop_in(&f, "a.json", "{\"servers\": {\"lake\": {\"args\": [\"never read\"]}}}");
        fixture_drop_in(&f, "b.json", "{\"mcpServers\": {\"lake\": {\"command\": \"true\"}}}");
        assert_true(asprintf(&expected, "b.json: mcpServers.lake: note: replaces the entry of %s/conf.d/a.json\n",
                             f.folder) > 0);
        load(&f, "{\"mcpServers\": {\"lake\": {\"command\": \"sh\", \"args\": [\"x\"], \"envmux\": {\"seeed\": 1}},"
                 " \"pond\": {\"command\": \"sh\"}}}", 0, expected);

        const struct server_config *lake = config_find(f.config, "lake"), *pond = config_find(f.config, "pond");

        assert_string_equal(lake->command, "true");
        assert_null(lake->args[0]);
        assert_ptr_equal(lake->file, f.config->files[2]);
        assert_ptr_equal(pond->file, f.config->files[0]);
        assert_int_equal(f.config->n_servers, 2);
        fixture_done(&f);
}

static void a_server_can_be_turned_off(void **state)
{
        _cleanup_free_ char *expected = NULL;
        struct fixture f;

        fixture_init(&f);
        fixture_drop_in(&f, "a.json", "{\"mcpServers\": {\"lake\": {\"disabled\": true}, \"pond\": {\"command\": \"sh\"}}}");
        assert_true(asprintf(&expected, "a.json: mcpServers.lake: note: replaces the entry of %s/envmux.json\n",
                             f.folder) > 0);
        load(&f, LAKE, 0, expected);
        assert_int_equal(f.config->n_servers, 1);
        assert_string_equal(f.config->default_server->name, "pond");
        fixture_done(&f);
}

static void servers_may_all_be_drop_ins(void **state)
{
        struct fixture f;

        fixture_init(&f);
        fixture_drop_in(&f, "a.json", LAKE);
        load(&f, "{}", 0, "");
        assert_string_equal(f.config->default_server->name, "lake");
        fixture_done(&f);
}

static void mistakes_name_their_file(void **state)
{
        struct fixture f;

        fixture_init(&f);
        fixture_drop_in(&f, "a.json", "{\"envmux\": {\"queue\": -1}, \"mcpServers\": {\"pond\": {\"command\": \"\"}}}");
        fixture_drop_in(&f, "b.json", "{\"pond\": {\"command\": \"sh\"}}");
        load(&f, "{\"mcpServers\": {\"lake\": {}}}", -EINVAL,
             "a.json: envmux.queue: must be a whole number\n"
             "b.json: : has no \"mcpServers\": wrap the servers as {\"mcpServers\": {…}}\n"
             "envmux.json: mcpServers.lake: has neither \"command\" nor \"url\"\n"
             "a.json: mcpServers.pond.command: must not be empty\n");
        fixture_done(&f);
}

static void syntax_errors_of_all_files_are_said_at_once(void **state)
{
        struct fixture f;

        fixture_init(&f);
        fixture_drop_in(&f, "a.json", "{\n  \"mcpServers\": {]\n}");
        fixture_drop_in(&f, "b.json", "");
        load(&f, "{,}", -EINVAL,
             "envmux.json: 1:2: unexpected \",\"\n"
             "a.json: 2:18: not JSON: quoted object property name expected\n"
             "b.json: 1:1: ends too early (a bracket is not closed?)\n");
        fixture_done(&f);
}

static void without_any_server_the_named_file_is_at_fault(void **state)
{
        struct fixture f;

        fixture_init(&f);
        fixture_drop_in(&f, "a.json", "{\"envmux\": {\"queue\": 1}}");
        load(&f, "{}", -EINVAL, "envmux.json: : has no \"mcpServers\" (or \"servers\")\n");
        fixture_done(&f);
}

static void what_is_no_file_is_not_waited_for(void **state)
{
        _cleanup_free_ char *path = NULL;
        struct fixture f;

        fixture_init(&f);
        fixture_drop_in(&f, "a.json", "{}");
        assert_true(asprintf(&path, "%s/conf.d/b.json", f.folder) > 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        load(&f, LAKE, -EINVAL, "b.json: : is not a file\n");
        fixture_done(&f);
}

static void the_number_of_files_is_bounded(void **state)
{
        struct fixture f;
        char name[24];

        fixture_init(&f);
        for (unsigned i = 0; i <= CONFIG_DROP_INS_MAX; i++) {
                snprintf(name, sizeof(name), "%u.json", i);
                fixture_drop_in(&f, name, "{}");
        }
        load(&f, LAKE, -EINVAL, "conf.d: : more than 256 files\n");
        fixture_done(&f);
}

static void a_definition_keeps_its_hash_wherever_it_stands(void **state)
{
        _cleanup_free_ char *hash = NULL;
        struct fixture f;

        fixture_init(&f);
        load(&f, LAKE, 0, "");
        hash = strdup(config_find(f.config, "lake")->definition_hash);
        assert_non_null(hash);
        fixture_drop_in(&f, "a.json", "{\"mcpServers\": {\"pond\": {\"command\": \"sh\"}}}");
        load(&f, LAKE, 0, "");
        assert_string_equal(config_find(f.config, "lake")->definition_hash, hash);
        fixture_drop_in(&f, "b.json", LAKE);
        load(&f, "{}", 0, "");
        assert_string_equal(config_find(f.config, "lake")->definition_hash, hash);
        fixture_done(&f);
}

static void relative_paths_start_at_their_own_file(void **state)
{
        _cleanup_free_ char *expected = NULL;
        struct fixture f;

        fixture_init(&f);
        fixture_drop_in(&f, "a.json", "{\"mcpServers\": {\"pond\": {\"command\": \"sh\", \"cwd\": \".\"}}}");
        assert_int_equal(fixture_load(&f, "{}"), 0);
        assert_true(asprintf(&expected, "%s/conf.d", f.folder) > 0);
        assert_memory_equal(config_find(f.config, "pond")->cwd, expected, strlen(expected));
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_missing_folder_holds_nothing),
                cmocka_unit_test(files_are_read_in_the_order_of_their_names),
                cmocka_unit_test(what_editors_leave_is_not_read),
                cmocka_unit_test(a_later_entry_replaces_one_whole),
                cmocka_unit_test(a_server_can_be_turned_off),
                cmocka_unit_test(servers_may_all_be_drop_ins),
                cmocka_unit_test(mistakes_name_their_file),
                cmocka_unit_test(syntax_errors_of_all_files_are_said_at_once),
                cmocka_unit_test(without_any_server_the_named_file_is_at_fault),
                cmocka_unit_test(what_is_no_file_is_not_waited_for),
                cmocka_unit_test(the_number_of_files_is_bounded),
                cmocka_unit_test(a_definition_keeps_its_hash_wherever_it_stands),
                cmocka_unit_test(relative_paths_start_at_their_own_file),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
