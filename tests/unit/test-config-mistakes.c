/* Every mistake is found, all in one run, with its place and what to do. */
#include "tests/unit/config-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define LAKE(members) "{\"mcpServers\": {\"lake\": {" members "}}}"

static void syntax_errors_have_a_place(void **state)
{
        assert_mistakes("{\n  \"mcpServers\": {\n    \"a\": {\"command\": \"sh\" \"args\": []}\n  }\n}\n",
                        "3:27: not JSON: object value separator ',' expected\n");
        assert_mistakes("{\"mcpServers\": {\"é\": nope}}", "1:23: not JSON: null expected\n");
        assert_mistakes("{\"mcpServers\": {\n", "2:1: ends too early (a bracket is not closed?)\n");
        assert_mistakes("", "1:1: ends too early (a bracket is not closed?)\n");
        assert_mistakes("{\"a\": 1}\n{\"b\": 2}", "2:1: not JSON: unexpected character\n");
        assert_mistakes("{\"a\": \"x\ny\"}", "1:7: a string that does not end on its line (a missing quotation mark?)\n");
        assert_mistakes("{} /* never", "1:4: a comment that does not end\n");
        assert_mistakes("{\"a\": 1 / 2}", "1:9: unexpected \"/\"\n");
        assert_mistakes("{\"a\": NaN}", "1:7: not JSON: unexpected character\n");
        assert_mistakes("{\"a\": -Infinity}", "1:8: not JSON: unexpected character\n");
        assert_mistakes("{,}", "1:2: unexpected \",\"\n");
        assert_mistakes("{\"a\": [1,,]}", "1:10: unexpected \",\"\n");
        assert_mistakes("{\"a\": [1}}", "1:9: not JSON: array value separator ',' expected\n");
        assert_mistakes("{\"a\": \"\xff\"}", "1:8: not JSON: invalid utf-8 string\n");
        assert_mistakes("[1]", "1:1: must be an object: {\"mcpServers\": {…}}\n");
        assert_mistakes("{'a': 1}", "1:2: not JSON: unexpected character\n");
}

static void names_that_stand_twice_are_found(void **state)
{
        assert_mistakes("{\"mcpServers\": {\n \"a\": {\"command\": \"sh\", \"args\": [{\"command\": 1}]},\n \"a\": {\"command\": \"sh\"}}}",
                        "3:2: this name stands twice in one object: a\n");
        assert_mistakes("{\"mcpServers\": {\"a\": {\"command\": \"sh\"}}, \"servers\": {\"a\": {\"command\": \"sh\"}}}",
                        "servers.a: there is another server of this name\n");
}

static void deep_nesting_is_bounded(void **state)
{
        char text[2048] = "{\"a\": ";
        size_t n = strlen(text);

        memset(text + n, '[', 1000);
        assert_mistakes(text, "1:38: nested too deep\n");
}

static void a_file_without_servers_is_one(void **state)
{
        assert_mistakes("{}", ": has no \"mcpServers\" (or \"servers\")\n");
        assert_mistakes("{\"mcpServer\": {}}", ": has no \"mcpServers\" (or \"servers\")\n"
                        "mcpServer: unknown key (did you mean \"mcpServers\"?)\n");
        assert_mistakes("{\"lake\": {\"command\": \"sh\"}}",
                        ": has no \"mcpServers\": wrap the servers as {\"mcpServers\": {…}}\n");
        assert_mistakes("{\"mcpServers\": {}}", ": no server is enabled that envmux could start\n");
        assert_mistakes("{\"mcpServers\": {\"a\": {\"disabled\": true}, \"b\": {\"url\": \"http://x\"}}}",
                        "mcpServers.b: note: SKIPPED: it is reached by URL, and envmux serves only backends that it starts "
                        "itself\n: no server is enabled that envmux could start\n");
        assert_mistakes("{\"mcpServers\": []}", "mcpServers: must be an object, is an array\n");
        assert_mistakes("{\"mcpServers\": {\"a\": \"sh\"}}", "mcpServers.a: must be an object, is a string\n");
        assert_mistakes("{\"mcp\": {\"servers\": {\"a\": {\"command\": \"sh\"}}}}", ": has no \"mcpServers\" (or \"servers\")\n"
                        "mcp: is not read: move its servers to \"mcpServers\" at the top, and give those that it excludes "
                        "\"disabled\": true\n");
}

static void a_file_that_cannot_be_read_is_reported(void **state)
{
        struct config *config = NULL;
        struct config_report report = {};

        assert_int_equal(config_load("/no/such/file", &config, &report), -ENOENT);
        assert_null(config);
        assert_int_equal(report.n_mistakes, 1);
        assert_string_equal(report.notes[0].text, "cannot be read: No such file or directory");
        config_report_done(&report);
}

static void names_must_fit_into_urls(void **state)
{
        assert_mistakes("{\"mcpServers\": {\"a b\": {\"command\": \"sh\"}, \"\": {\"command\": \"sh\"}, \"..\": {\"command\": \"sh\"},\n"
                        " \"s\": {\"command\": \"sh\"}, \"mcp\": {\"command\": \"sh\"}, \"healthz\": {\"disabled\": true}}}",
                        "mcpServers[\"a b\"]: the name of a server must be 1 to 64 letters, digits, '.', '_' and '-', since it "
                        "becomes part of a URL\n"
                        "mcpServers[\"\"]: the name of a server must be 1 to 64 letters, digits, '.', '_' and '-', since it "
                        "becomes part of a URL\n"
                        "mcpServers[\"..\"]: \"..\" cannot be the name of a server: it means something else in URLs\n"
                        "mcpServers.s: \"s\" cannot be the name of a server: it means something else in URLs\n"
                        "mcpServers.mcp: \"mcp\" cannot be the name of a server: it means something else in URLs\n"
                        "mcpServers.healthz: \"healthz\" cannot be the name of a server: it means something else in URLs\n");
        assert_notes("{\"mcpServers\": {\"A.b_c-9\": {\"command\": \"sh\"}}}", "");
}

static void all_mistakes_are_found_at_once(void **state)
{
        unsetenv("LAKE_TEST_UNSET");
        assert_mistakes("{\"envmux\": {\"max_sesions\": 3, \"queue\": \"many\", \"prepare\": [\"x\"], \"origins\": [\"a.example\", 4]},\n"
                        " \"mcpServers\": {\n"
                        "  \"lake\": {\"command\": \"\", \"args\": [\"${LAKE_TEST_UNSET}\", 3], \"env\": {\"A=B\": \"\", \"C\": null, \"D\": true,\n"
                        "            \"ENVMUX_SEED\": \"1\"}, \"cwd\": \"~/x\",\n"
                        "            \"envmux\": {\"seeed\": 1, \"idle_timeout\": \"30 minuts\", \"lifetime\": 0, \"attach\": \"joyn\",\n"
                        "                       \"keys\": [\"path\", \"cookie\"], \"routers\": 3, \"max_sessions\": 2.5}},\n"
                        "  \"pond\": {\"comand\": \"sh\", \"disabled\": \"no\"}}}",
                        "envmux.max_sesions: unknown key (did you mean \"max_sessions\"?)\n"
                        "envmux.queue: must be a whole number\n"
                        "envmux.prepare: belongs into \"envmux\" of a server's entry\n"
                        "envmux.origins[0]: must be an origin such as \"https://app.example.org\"\n"
                        "envmux.origins[1]: must be a string, is a number\n"
                        "mcpServers.lake.envmux.seeed: unknown key\n"
                        "mcpServers.lake.envmux.idle_timeout: must be a duration: \"90s\", \"30min\", \"1h30min\", or a number of "
                        "seconds\n"
                        "mcpServers.lake.envmux.lifetime: must be between 100ms and 52w1d\n"
                        "mcpServers.lake.envmux.attach: must be \"join\", \"replace\" or \"reject\" (did you mean \"join\"?)\n"
                        "mcpServers.lake.envmux.keys[1]: must be \"path\", \"header\", \"transport\" or \"client\"\n"
                        "mcpServers.lake.envmux.routers: belongs into \"envmux\" at the top of the file\n"
                        "mcpServers.lake.envmux.max_sessions: must be a whole number\n"
                        "mcpServers.lake.command: must not be empty\n"
                        "mcpServers.lake.args[0]: the environment variable LAKE_TEST_UNSET is not set (set it, or write "
                        "${LAKE_TEST_UNSET:-default})\n"
                        "mcpServers.lake.args[1]: must be a string, is a number\n"
                        "mcpServers.lake.cwd: ~ is not expanded: write ${HOME}\n"
                        "mcpServers.lake.env[\"A=B\"]: is not the name of a variable\n"
                        "mcpServers.lake.env.C: must be a string: a variable cannot be removed, only set to \"\"\n"
                        "mcpServers.lake.env.D: must be a string, is true\n"
                        "mcpServers.lake.env.ENVMUX_SEED: variables named ENVMUX_… are set by envmux\n"
                        "mcpServers.pond.disabled: must be true or false, is a string\n"
                        "mcpServers.pond.comand: unknown key (did you mean \"command\"?)\n"
                        "mcpServers.pond: has neither \"command\" nor \"url\"\n");
}

static void restrictions_are_never_dropped_in_silence(void **state)
{
        assert_mistakes("{\"sandbox\": {\"network\": {}}, \"mcpServers\": {\"a\": {\"command\": \"sh\", \"excludeTools\": [\"rm\"],\n"
                        " \"includeTools\": [], \"disabledTools\": [\"x\"], \"tools\": [\"read\"], \"sandboxEnabled\": true}}}",
                        "sandbox: would run the servers unconfined; envmux does not confine servers yet: remove the key if they "
                        "may do what your user may do\n"
                        "mcpServers.a.excludeTools: would offer tools that it holds back; envmux filters no tools: remove the key "
                        "if all may be called, or restrict the server itself by its own arguments\n"
                        "mcpServers.a.includeTools: would offer tools that it holds back; envmux filters no tools: remove the key "
                        "if all may be called, or restrict the server itself by its own arguments\n"
                        "mcpServers.a.disabledTools: would offer tools that it holds back; envmux filters no tools: remove the key "
                        "if all may be called, or restrict the server itself by its own arguments\n"
                        "mcpServers.a.tools: would offer tools that it holds back; envmux filters no tools: remove the key "
                        "if all may be called, or restrict the server itself by its own arguments\n"
                        "mcpServers.a.sandboxEnabled: would run the server unconfined; envmux does not confine servers yet: "
                        "remove the key if the server may do what your user may do\n");
}

#define SCRIPT_SHELL_TEXT "a session's value must not become part of a shell script: write \"$1\" in the script and add two " \
                          "arguments behind it, \"sh\" and the value\n"
#define SCRIPT_CODE_TEXT "a session's value must not become part of a program's text: add it as an argument behind the text\n"

static void session_values_stay_out_of_commands_and_scripts(void **state)
{
        assert_mistakes(LAKE("\"command\": \"${envmux:session}\""),
                        "mcpServers.lake.command: ${envmux:session} cannot be part of the command: what a client may choose never "
                        "decides which program runs; use it in \"args\" or \"env\"\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"args\": [\"-c\", \"run --seed ${envmux:seed}\"]"),
                        "mcpServers.lake.args[1]: " SCRIPT_SHELL_TEXT);
        assert_mistakes(LAKE("\"command\": \"/bin/bash\", \"args\": [\"-euo\", \"pipefail\", \"-lc\", \"cd ${workspace}\"]"),
                        "mcpServers.lake.args[3]: " SCRIPT_SHELL_TEXT);
        assert_mistakes(LAKE("\"command\": \"env\", \"args\": [\"A=1\", \"bash\", \"-c\", \"x ${seed}\", \"${seed}\"]"),
                        "mcpServers.lake.args[3]: " SCRIPT_SHELL_TEXT);
        assert_mistakes(LAKE("\"command\": \"python3.11\", \"args\": [\"-u\", \"-c\", \"print(${seed})\"]"),
                        "mcpServers.lake.args[2]: " SCRIPT_CODE_TEXT);
        assert_mistakes(LAKE("\"command\": \"node\", \"args\": [\"--eval=f(${seed})\"]"), "mcpServers.lake.args[0]: " SCRIPT_CODE_TEXT);
        assert_mistakes(LAKE("\"command\": \"sh\", \"envmux\": {\"prepare\": [\"make\", \"${envmux:session}\"]}"),
                        "mcpServers.lake.envmux.prepare[1]: ${envmux:session} has no value when prepare runs: it runs once, before "
                        "any session\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"envFile\": \"${envmux:session}.env\""),
                        "mcpServers.lake.envFile: ${envmux:session} is not known yet when the file is read\n");

        assert_notes(LAKE("\"command\": \"sh\", \"args\": [\"-c\", \"exec true \\\"$1\\\"\", \"sh\", \"${envmux:seed}\"]"), "");
        assert_notes(LAKE("\"command\": \"bash\", \"args\": [\"run.sh\", \"-c\", \"${envmux:seed}\"]"), "");
        assert_notes(LAKE("\"command\": \"sh\", \"args\": [\"-m\", \"server\", \"--seed\", \"${envmux:seed}\"]"), "");
        assert_notes(LAKE("\"command\": \"sh\", \"args\": [\"-c\", \"exec true \\\"$ENVMUX_SEED\\\"\"]"), "");
}

static void a_backend_is_told_where_to_listen(void **state)
{
        assert_mistakes(LAKE("\"command\": \"sh\", \"args\": [\"${envmux:port}\"]"),
                        "mcpServers.lake.args[0]: ${envmux:port} needs \"envmux\": {\"transport\": \"http\"}\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"env\": {\"S\": \"${envmux:socket}\"}"),
                        "mcpServers.lake.env.S: ${envmux:socket} needs \"envmux\": {\"transport\": \"http\"}\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"envmux\": {\"transport\": \"http\"}"),
                        "mcpServers.lake.envmux: with transport \"http\" the backend must be told where to listen: put ${envmux:port} "
                        "(or ${envmux:socket}) into \"args\" or \"env\"\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"args\": [\"${envmux:port}\", \"${envmux:socket}\"], \"envmux\": {\"transport\": \"http\"}"),
                        "mcpServers.lake.envmux: ${envmux:port} and ${envmux:socket} exclude each other\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"envmux\": {\"http_path\": \"/x\"}"),
                        "mcpServers.lake.envmux.http_path: needs \"transport\": \"http\"\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"args\": [\"${envmux:port}\"], \"envmux\": {\"transport\": \"htp\"}"),
                        "mcpServers.lake.envmux.transport: must be \"stdio\" or \"http\" (did you mean \"http\"?)\n");
}

static void types_must_fit_the_entry(void **state)
{
        assert_mistakes(LAKE("\"type\": \"http\", \"command\": \"sh\""),
                        "mcpServers.lake: its type is that of a server reached by URL, but it has a command: remove \"type\", or write "
                        "\"envmux\": {\"transport\": \"http\"} if the command starts an HTTP server\n");
        assert_mistakes(LAKE("\"type\": \"sse\""), "mcpServers.lake: has neither \"command\" nor \"url\"\n");
        assert_mistakes(LAKE("\"type\": \"pipe\", \"command\": \"sh\""),
                        "mcpServers.lake.type: must be \"stdio\", or \"http\" or \"sse\" for a server reached by URL\n");
        assert_mistakes(LAKE("\"command\": {\"path\": \"sh\", \"args\": []}"),
                        "mcpServers.lake.command: must be a string, is an object (Zed's older form): write \"command\", \"args\" and "
                        "\"env\" beside each other\n");
        assert_mistakes(LAKE("\"command\": \"sh\\u0000x\""), "mcpServers.lake.command: holds the character U+0000\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"args\": \"-x\""),
                        "mcpServers.lake.args: must be an array of strings, is a string\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"args\": [\"${input:key}\"]"),
                        "mcpServers.lake.args[0]: ${input:key} is a prompt of VS Code's; put the value into the environment and write "
                        "${env:NAME}\n");
}

static void numbers_have_bounds(void **state)
{
        assert_mistakes(LAKE("\"command\": \"sh\", \"envmux\": {\"message_max\": \"2K\", \"log_max\": \"1T\", \"idle_timeout\": \"9999999w\"}"),
                        "mcpServers.lake.envmux.message_max: must be between 4K and 1G\n"
                        "mcpServers.lake.envmux.log_max: must be between 4K and 64M\n"
                        "mcpServers.lake.envmux.idle_timeout: must be between 10ms and 52w1d\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"envmux\": {\"message_max\": -1, \"buffer_max\": 1.5, \"idle_timeout\": -3}"),
                        "mcpServers.lake.envmux.message_max: must be a size: \"512K\", \"64M\", \"1G\", or a number of bytes\n"
                        "mcpServers.lake.envmux.buffer_max: must be a size: \"512K\", \"64M\", \"1G\", or a number of bytes\n"
                        "mcpServers.lake.envmux.idle_timeout: must be a duration: \"90s\", \"30min\", \"1h30min\", or a number of "
                        "seconds\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"envmux\": {\"message_max\": \"128M\"}"),
                        "mcpServers.lake.envmux: buffer_max is smaller than message_max, so a message could never pass\n");
        assert_mistakes("{\"envmux\": {\"routers\": 0, \"max_sessions\": 99999999999999999999}, \"mcpServers\": {\"a\": {\"command\": \"sh\"}}}",
                        "envmux.routers: must be between 1 and 256\nenvmux.max_sessions: must be between 1 and 100000\n");
        assert_mistakes(LAKE("\"command\": \"sh\", \"envmux\": {\"keys\": [], \"prepare\": []}"),
                        "mcpServers.lake.envmux.keys: must name at least one kind of key\n"
                        "mcpServers.lake.envmux.prepare: must hold between 1 and 1024 strings\n");
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
        assert_string_equal(f.said, "mcpServers.lake.envFile: /no/such.env cannot be read: No such file or directory\n");
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(syntax_errors_have_a_place),
                cmocka_unit_test(names_that_stand_twice_are_found),
                cmocka_unit_test(deep_nesting_is_bounded),
                cmocka_unit_test(a_file_without_servers_is_one),
                cmocka_unit_test(a_file_that_cannot_be_read_is_reported),
                cmocka_unit_test(names_must_fit_into_urls),
                cmocka_unit_test(all_mistakes_are_found_at_once),
                cmocka_unit_test(restrictions_are_never_dropped_in_silence),
                cmocka_unit_test(session_values_stay_out_of_commands_and_scripts),
                cmocka_unit_test(a_backend_is_told_where_to_listen),
                cmocka_unit_test(types_must_fit_the_entry),
                cmocka_unit_test(numbers_have_bounds),
                cmocka_unit_test(env_files_are_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
