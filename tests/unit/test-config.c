/* What configurations mean: the dialects of clients, defaults, inheritance, the file's syntax. */
#include "tests/unit/config-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

/* Loads text, in which ' stands for ", so that it can be read here. */
static int load(struct fixture *f, const char *text)
{
        _cleanup_free_ char *json = strdup(text);

        for (char *quote = json; (quote = strchr(quote, '\''));)
                *quote = '"';
        return fixture_load(f, json);
}

static const struct server_config *load_one(struct fixture *f, const char *text)
{
        if (load(f, text) < 0)
                fail_msg("refused: %s", f->said);
        assert_int_equal(f->config->n_servers, 1);
        return f->config->servers[0];
}

static void a_plain_entry_gets_every_default(void **state)
{
        struct fixture f;

        fixture_init(&f);

        const struct server_config *s = load_one(&f, "{'mcpServers': {'lake': {'command': 'sh'}}}");

        assert_string_equal(f.said, "");
        assert_string_equal(s->name, "lake");
        assert_string_equal(s->command, "sh");
        assert_null(s->args[0]);
        assert_null(s->env[0]);
        assert_null(s->cwd);
        assert_int_equal(s->transport, TRANSPORT_STDIO);
        assert_string_equal(s->http_path, "/mcp");
        assert_null(s->prepare);
        assert_int_equal(s->keys.kinds, 1 << KEY_NAMED | 1 << KEY_TRANSPORT);
        assert_string_equal(s->keys.meta, "");
        assert_int_equal(s->keyless, KEYLESS_SHARED);
        assert_int_equal(s->era, ERA_UNKNOWN);
        assert_int_equal(s->attach, ATTACH_JOIN);
        assert_int_equal(s->sessions_max, 1000);
        assert_int_equal(s->idle_usec, 30 * USEC_PER_MINUTE);
        assert_int_equal(s->lifetime_usec, 24 * USEC_PER_HOUR);
        assert_int_equal(s->start_usec, 2 * USEC_PER_MINUTE);
        assert_int_equal(s->request_usec, 10 * USEC_PER_MINUTE);
        assert_int_equal(s->drain_usec, 10 * USEC_PER_SEC);
        assert_int_equal(s->rung_usec, 2 * USEC_PER_SEC);
        assert_int_equal(s->message_bytes_max, 16 << 20);
        assert_int_equal(s->buffer_bytes_max, 64 << 20);
        assert_int_equal(s->log_bytes_max, 256 << 10);
        assert_int_equal(strlen(s->definition_hash), 64);

        assert_int_equal(f.config->sessions_max, 1000);
        assert_true(f.config->starting_max >= 4);
        assert_int_equal(f.config->queue_max, 1000);
        assert_int_equal(f.config->queue_usec, USEC_PER_MINUTE);
        assert_true(f.config->routers >= 1);
        assert_int_equal(f.config->clients_max, 4096);
        assert_int_equal(f.config->client_idle_usec, 5 * USEC_PER_MINUTE);
        assert_int_equal(f.config->body_bytes_max, 64 << 20);
        assert_int_equal(f.config->head_bytes_max, 32 << 10);
        assert_string_equal(f.config->session_header, "Envmux-Session");
        assert_null(f.config->origins);
        assert_null(f.config->hosts);
        assert_int_equal(f.config->tombstones_max, 1000);
        assert_ptr_equal(f.config->default_server, s);
        fixture_done(&f);
}

static void own_keys_are_read(void **state)
{
        struct fixture f;

        fixture_init(&f);

        const struct server_config *s = load_one(&f,
                "{'envmux': {'max_sessions': 50, 'max_starting': 3, 'queue': 0, 'queue_timeout': 5,\n"
                "  'routers': 2, 'max_clients': 7, 'client_idle_timeout': '1h30min', 'body_max': '1G',\n"
                "  'head_max': 8192, 'session_header': 'X-Lake', 'origins': ['https://a.example'],\n"
                "  'hosts': ['h.example:80', '[::1]'], 'max_ended': 9},\n"
                " 'mcpServers': {'lake': {'command': 'sh', 'args': ['${envmux:port}'], 'envmux': {\n"
                "  'transport': 'http', 'http_path': '/api/mcp', 'prepare': ['true', 'x'],\n"
                "  'keys': ['transport', 'client', 'meta:openai/session'],\n"
                "  'keyless': 'per-request', 'era': 'legacy', 'attach': 'reject', 'max_sessions': 20,\n"
                "  'idle_timeout': 0.5, 'lifetime': '2d', 'start_timeout': '30s',\n"
                "  'request_timeout': '1m', 'drain_timeout': 0, 'stop_timeout': '500ms',\n"
                "  'message_max': '1M', 'buffer_max': '2M', 'log_max': '64KiB'}}}}");

        assert_int_equal(f.config->sessions_max, 50);
        assert_int_equal(f.config->starting_max, 3);
        assert_int_equal(f.config->queue_max, 0);
        assert_int_equal(f.config->queue_usec, 5 * USEC_PER_SEC);
        assert_int_equal(f.config->routers, 2);
        assert_int_equal(f.config->clients_max, 7);
        assert_int_equal(f.config->client_idle_usec, 90 * USEC_PER_MINUTE);
        assert_int_equal(f.config->body_bytes_max, 1 << 30);
        assert_int_equal(f.config->head_bytes_max, 8192);
        assert_string_equal(f.config->session_header, "X-Lake");
        assert_string_equal(f.config->origins[0], "https://a.example");
        assert_null(f.config->origins[1]);
        assert_string_equal(f.config->hosts[1], "[::1]");
        assert_int_equal(f.config->tombstones_max, 9);

        assert_int_equal(s->transport, TRANSPORT_HTTP);
        assert_false(s->uses_socket);
        assert_string_equal(s->http_path, "/api/mcp");
        assert_string_equal(s->prepare[1], "x");
        assert_int_equal(s->keys.kinds, 1 << KEY_TRANSPORT | 1 << KEY_CLIENT | 1 << KEY_META);
        assert_string_equal(s->keys.meta, "openai/session");
        assert_int_equal(s->keyless, KEYLESS_PER_REQUEST);
        assert_int_equal(s->era, ERA_LEGACY);
        assert_int_equal(s->attach, ATTACH_REJECT);
        assert_int_equal(s->sessions_max, 20);
        assert_int_equal(s->idle_usec, USEC_PER_SEC / 2);
        assert_int_equal(s->lifetime_usec, 48 * USEC_PER_HOUR);
        assert_int_equal(s->start_usec, 30 * USEC_PER_SEC);
        assert_int_equal(s->request_usec, USEC_PER_MINUTE);
        assert_int_equal(s->drain_usec, 0);
        assert_int_equal(s->rung_usec, 500 * USEC_PER_MSEC);
        assert_int_equal(s->message_bytes_max, 1 << 20);
        assert_int_equal(s->buffer_bytes_max, 2 << 20);
        assert_int_equal(s->log_bytes_max, 64 << 10);
        fixture_done(&f);
}

static bool may_create(const struct server_config *server, enum key_kind kind)
{
        assert_false(kind == KEY_SHARED);
        return config_may_create(server, kind, "k");
}

static void keys_and_policy_decide_what_makes_a_session(void **state)
{
        struct fixture f;

        fixture_init(&f);
        assert_int_equal(load(&f,
                "{'mcpServers': {'a': {'command': 'sh'},\n"
                "  'b': {'command': 'sh', 'envmux': {'keys': ['client', 'meta:m'], 'keyless': 'per-request'}},\n"
                "  'c': {'command': 'sh', 'envmux': {'keys': ['principal']}}}}"), 0);

        const struct server_config *a = f.config->servers[0], *b = f.config->servers[1], *c = f.config->servers[2];

        assert_true(may_create(a, KEY_NAMED) && may_create(a, KEY_TRANSPORT));
        assert_false(may_create(a, KEY_CLIENT) || may_create(a, KEY_META) || may_create(a, KEY_REQUEST));
        assert_true(config_may_create(a, KEY_SHARED, KEY_SHARED_MODERN));
        assert_false(config_may_create(a, KEY_SHARED, KEY_SHARED_LEGACY));
        assert_true(may_create(b, KEY_CLIENT) && may_create(b, KEY_META) && may_create(b, KEY_REQUEST));
        assert_false(may_create(b, KEY_NAMED) || may_create(b, KEY_TRANSPORT));
        assert_false(config_may_create(b, KEY_SHARED, KEY_SHARED_MODERN));
        assert_true(config_may_create(c, KEY_SHARED, KEY_SHARED_MODERN));
        assert_true(config_may_create(c, KEY_SHARED, KEY_SHARED_LEGACY));
        assert_false(config_may_create(c, KEY_SHARED, "k"));
        assert_false(may_create(b, KEY_HANDLE) || may_create(b, KEY_PROBE));
        fixture_done(&f);
}

static void the_top_sets_defaults_of_entries(void **state)
{
        struct fixture f;

        fixture_init(&f);
        assert_int_equal(load(&f,
                "{'mcpServers': {'a': {'command': 'sh'},\n"
                "                  'b': {'command': 'sh', 'envmux': {'idle_timeout': 3}}},\n"
                " 'envmux': {'idle_timeout': 2, 'attach': 'replace', 'max_sessions': 8}}"), 0);
        assert_int_equal(f.config->servers[0]->idle_usec, 2 * USEC_PER_SEC);
        assert_int_equal(f.config->servers[0]->attach, ATTACH_REPLACE);
        assert_int_equal(f.config->servers[0]->sessions_max, 8);
        assert_int_equal(f.config->servers[1]->idle_usec, 3 * USEC_PER_SEC);
        fixture_done(&f);
}

static void the_default_server_is_the_only_one_or_named_so(void **state)
{
        struct fixture f;

        fixture_init(&f);
        assert_int_equal(load(&f, "{'mcpServers': {'a': {'command': 'sh'}, 'b': {'command': 'sh'}}}"), 0);
        assert_null(f.config->default_server);
        assert_ptr_equal(config_find(f.config, "b"), f.config->servers[1]);
        assert_null(config_find(f.config, "c"));
        assert_int_equal(load(&f, "{'mcpServers': {'a': {'command': 'sh'}, 'default': {'command': 'sh'}}}"), 0);
        assert_ptr_equal(f.config->default_server, f.config->servers[1]);
        fixture_done(&f);
}

static void strings_are_templates(void **state)
{
        struct fixture f;
        const char *const values[TEMPLATE__MAX] = { [TEMPLATE_SEED] = "42", [TEMPLATE_WORKSPACE] = "/w" };
        _cleanup_free_ char *arg = NULL, *env = NULL, *cwd = NULL;

        setenv("LAKE_TEST_SIZE", "8", 1);
        unsetenv("LAKE_TEST_UNSET");
        fixture_init(&f);

        const struct server_config *s = load_one(&f,
                "{'mcpServers': {'lake': {'command': '${LAKE_TEST_UNSET:-sh}',\n"
                "  'args': ['--size=${LAKE_TEST_SIZE}', '--seed=${envmux:seed}', '$$5'],\n"
                "  'env': {'SEED': '${seed}', 'SIZE': '${env:LAKE_TEST_SIZE}', 'N': 7},\n"
                "  'cwd': '${envmux:workspace}/sub'}}}");

        assert_string_equal(s->command, "sh");
        assert_string_equal(s->args[0], "--size=8");
        assert_string_equal(s->args[2], "$5");
        assert_int_equal(template_expand(s->args[1], values, &arg), 0);
        assert_string_equal(arg, "--seed=42");
        assert_int_equal(template_expand(s->env[0], values, &env), 0);
        assert_string_equal(env, "SEED=42");
        assert_string_equal(s->env[1], "SIZE=8");
        assert_string_equal(s->env[2], "N=7");
        assert_int_equal(template_expand(s->cwd, values, &cwd), 0);
        assert_string_equal(cwd, "/w/sub");
        fixture_done(&f);
}

static void relative_paths_start_at_the_file(void **state)
{
        struct fixture f;
        char expected[64];

        fixture_init(&f);

        const struct server_config *s = load_one(&f,
                "{'mcpServers': {'a': {'command': './run.sh', 'cwd': '.', 'envmux': {'prepare': "
                "['bin/setup', './x']}}}}");

        snprintf(expected, sizeof(expected), "%s/run.sh", f.folder);
        assert_string_equal(s->command, expected);
        assert_string_equal(s->cwd, f.folder);
        snprintf(expected, sizeof(expected), "%s/bin/setup", f.folder);
        assert_string_equal(s->prepare[0], expected);
        assert_string_equal(s->prepare[1], "./x");
        fixture_done(&f);
}

static void an_env_file_is_read(void **state)
{
        struct fixture f;

        fixture_init(&f);
        fixture_write(&f, "lake.env", "# a comment\n\nexport A=1\nB = two words  # no more\r\nC=\"x\\ty \\\"z\\\" # "
                                      "in\" # out\n"
                      "D='$HOME ${seed}'\nE=\nA=3\nF=over\n");

        const struct server_config *s = load_one(&f,
                "{'servers': {'a': {'type': 'stdio', 'command': 'sh', 'envFile': 'lake.env', 'env': "
                "{'F': 'ridden'}}}}");

        assert_string_equal(s->env[0], "A=3");
        assert_string_equal(s->env[1], "B=two words");
        assert_string_equal(s->env[2], "C=x\ty \"z\" # in");
        assert_string_equal(s->env[3], "D=$HOME ${seed}");
        assert_string_equal(s->env[4], "E=");
        assert_string_equal(s->env[5], "F=ridden");
        assert_null(s->env[6]);
        fixture_done(&f);
}

static void dialects_of_other_clients_are_read(void **state)
{
        struct fixture f;

        fixture_init(&f);
        assert_int_equal(load(&f,
                "{'context_servers': {'zed': {'source': 'custom', 'enabled': true, 'command': 'sh'},\n"
                "                       'off': {'enabled': false, 'command': 3}},\n"
                " 'servers': {'code': {'type': 'stdio', 'command': 'sh', 'version': '1', 'gallery': true}},\n"
                " 'mcpServers': {'cline': {'transportType': 'stdio', 'disabled': false, 'command': 'sh'},\n"
                "                  'copilot': {'type': 'local', 'tools': ['*'], 'command': 'sh'},\n"
                "                  'kiro': {'disabledTools': [], 'command': 'sh'},\n"
                "                  'gemini': {'description': 'x', 'command': 'sh'},\n"
                "                  'unused': {'disabled': true, 'args': ['${NOT_SET_AT_ALL}']}}}"), 0);
        assert_string_equal(f.said, "");
        assert_int_equal(f.config->n_servers, 6);
        assert_string_equal(f.config->servers[0]->name, "zed");
        assert_string_equal(f.config->servers[5]->name, "gemini");
        fixture_done(&f);
}

static void what_this_machine_lacks_is_said(void **state)
{
        struct fixture f;

        fixture_init(&f);
        fixture_write(&f, "server.py", "");
        assert_int_equal(load(&f,
                "{'mcpServers': {'a': {'command': 'no-such-command-here', 'args': ['server.py', 'other.py']},\n"
                "                'b': {'command': 'no such command', 'cwd': '/no/such/folder', 'args': "
                "['server.py']}}}"), 0);
        assert_string_equal(f.said,
                            "mcpServers.a.command: note: no-such-command-here is not found\n"
                            "mcpServers.a.args[0]: note: server.py is there beside the configuration, but the backend "
                            "starts in its private workspace: write an absolute path, or \"cwd\": \".\"\n"
                            "mcpServers.b.cwd: note: /no/such/folder is not a folder; the backend cannot start while "
                            "that is so\n"
                            "mcpServers.b.command: note: no such command is not found (arguments belong into "
                            "\"args\")\n");
        fixture_done(&f);
}

static char *hash_of(const char *entry)
{
        struct fixture f;
        _cleanup_free_ char *text = NULL;

        fixture_init(&f);
        assert_true(asprintf(&text, "{'mcpServers': {'a': %s}}", entry) > 0);

        char *hash = strdup(load_one(&f, text)->definition_hash);

        fixture_done(&f);
        return hash;
}

static void the_hash_tells_definitions_apart(void **state)
{
        static const char *const different[] = {
                "{'command': 'sh', 'args': ['a', 'b']}", "{'command': 'sh', 'args': ['ab']}",
                "{'command': 'sh', 'args': ['a'], 'env': {'B': ''}}",
                "{'command': 'bash', 'args': ['a', 'b']}",
                "{'command': 'sh', 'args': ['a', 'b'], 'cwd': '/'}",
                "{'command': 'sh', 'args': ['a', 'b'], 'envmux': {'prepare': ['a']}}",
        };
        char *hashes[ELEMENTSOF(different)];

        for (size_t i = 0; i < ELEMENTSOF(different); i++) {
                hashes[i] = hash_of(different[i]);
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(hashes[i], hashes[j]);
        }

        _cleanup_free_ char *same = hash_of("{'args': ['a', 'b'], 'command': 'sh', 'envmux': {'lifetime': '1h'}}");

        assert_string_equal(same, hashes[0]);
        for (size_t i = 0; i < ELEMENTSOF(different); i++)
                free(hashes[i]);
}

static void a_socket_backend_is_told_apart(void **state)
{
        struct fixture f;

        fixture_init(&f);
        assert_true(load_one(&f, "{'mcpServers': {'a': {'command': 'sh', 'env': {'S': "
                                 "'${envmux:socket}'}, 'type': 'http', 'envmux': {'transport': "
                                 "'http'}}}}")->uses_socket);
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_plain_entry_gets_every_default),
                cmocka_unit_test(own_keys_are_read),
                cmocka_unit_test(keys_and_policy_decide_what_makes_a_session),
                cmocka_unit_test(the_top_sets_defaults_of_entries),
                cmocka_unit_test(the_default_server_is_the_only_one_or_named_so),
                cmocka_unit_test(strings_are_templates),
                cmocka_unit_test(relative_paths_start_at_the_file),
                cmocka_unit_test(an_env_file_is_read),
                cmocka_unit_test(dialects_of_other_clients_are_read),
                cmocka_unit_test(what_this_machine_lacks_is_said),
                cmocka_unit_test(the_hash_tells_definitions_apart),
                cmocka_unit_test(a_socket_backend_is_told_apart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
