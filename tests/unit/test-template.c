#include "common/template.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The environment of these tests: "HOME=/home/ann", "EMPTY=", "BAD=\x01", "workspace_dir=…". */
static const char *lookup(const char *name, void *userdata)
{
        const char *const *environment = userdata;

        for (; *environment; environment += 2)
                if (streq(environment[0], name))
                        return environment[1];
        return NULL;
}

static const char *const environment[] = { "HOME", "/home/ann", "EMPTY", "", "BAD", "a\x01z", "DOLLAR", "${HOME}$$",
                                           "workspace", "mine", NULL };

static const char *const values[TEMPLATE__MAX] = {
        [TEMPLATE_SEED] = "42", [TEMPLATE_PORT] = "8123", [TEMPLATE_SESSION] = "$HOME ${HOME} \x01" "a",
        [TEMPLATE_WORKSPACE] = "/w",
};

static void assert_expands(const char *text, const char *expected)
{
        _cleanup_free_ char *compiled = NULL, *why = NULL, *expanded = NULL;

        if (template_compile(text, lookup, (void *) environment, &compiled, &why) < 0)
                fail_msg("\"%s\" is refused: %s", text, why);
        assert_int_equal(template_expand(compiled, values, &expanded), 0);
        assert_string_equal(expanded, expected);
}

static void assert_refused(const char *text, const char *expected_why)
{
        _cleanup_free_ char *compiled = NULL, *why = NULL;

        assert_int_equal(template_compile(text, lookup, (void *) environment, &compiled, &why), -EINVAL);
        assert_null(compiled);
        assert_string_equal(why, expected_why);
}

static void plain_text_passes(void **state)
{
        assert_expands("", "");
        assert_expands("--flag=a b", "--flag=a b");
        assert_expands("cost: $5, $HOME, $", "cost: $5, $HOME, $");
        assert_expands("grüße 😀 } {", "grüße 😀 } {");
}

static void variables_are_resolved_once(void **state)
{
        assert_expands("${HOME}/x", "/home/ann/x");
        assert_expands("${env:HOME}/x", "/home/ann/x");
        assert_expands("${DOLLAR}", "${HOME}$$");
        assert_expands("${EMPTY}", "");
        assert_expands("$${HOME}", "${HOME}");
        assert_expands("$$$${HOME}", "$${HOME}");
        assert_expands("$$${HOME}", "$/home/ann");
}

static void defaults_stand_for_unset_and_empty(void **state)
{
        assert_expands("${MISSING:-none}", "none");
        assert_expands("${MISSING:-}", "");
        assert_expands("${EMPTY:-none}", "none");
        assert_expands("${HOME:-none}", "/home/ann");
        assert_expands("${env:MISSING:-a:-b}", "a:-b");
}

static void session_values_are_put_in(void **state)
{
        assert_expands("--port=${envmux:port}", "--port=8123");
        assert_expands("${envmux:seed}${envmux:seed}", "4242");
        assert_expands("[${envmux:config_file}]", "[]");
        assert_expands("${envmux:seed:-7}", "42");
        assert_expands("${envmux:socket:-none}!", "none!");
}

static void session_values_are_never_expanded_again(void **state)
{
        assert_expands("${envmux:session}", "$HOME ${HOME} \x01" "a");
}

static void short_forms_yield_to_the_environment(void **state)
{
        assert_expands("${seed} ${port}", "42 8123");
        assert_expands("${workspace} ${envmux:workspace}", "mine /w");
        assert_expands("${config_file:-x}", "x");
        assert_refused("${env:seed}",
                       "the environment variable seed is not set (set it, or write ${seed:-default})");
}

static void uses_are_reported(void **state)
{
        _cleanup_free_ char *compiled = NULL, *why = NULL;

        assert_int_equal(template_compile("${envmux:seed:-1} ${port} ${HOME}", lookup, (void *) environment,
                                          &compiled, &why), 0);
        assert_int_equal(template_uses(compiled), 1u << TEMPLATE_SEED | 1u << TEMPLATE_PORT);
        assert_int_equal(template_uses("plain"), 0);
}

static void mistakes_say_what_to_do(void **state)
{
        assert_refused("${MISSING}",
                       "the environment variable MISSING is not set (set it, or write ${MISSING:-default})");
        assert_refused("a ${HOME", "\"${\" without \"}\" (write $${ for a literal ${)");
        assert_refused("${envmux:sed}",
                       "${envmux:sed} is not known (seed, session, port, socket, config_file and workspace are)");
        assert_refused("${A:-${HOME}}", "${A:-${HOME}: a reference inside a reference is not supported");
        assert_refused("a\x02", "holds a control byte (0x01–0x03)");
        assert_refused("${BAD}", "the environment variable BAD holds a control byte (0x01–0x03)");
        assert_refused("${}", "${} names no variable (known are ${NAME}, ${NAME:-default}, ${env:NAME}, "
                       "${envmux:NAME}; write $${ for a literal ${)");
}

static void references_of_other_clients_say_what_to_do(void **state)
{
        assert_refused("${input:key}", "${input:key} is a prompt of VS Code's; put the value into the environment and "
                       "write ${env:NAME}");
        assert_refused("${userHome}/x", "${userHome} is an editor's; write ${HOME}");
        assert_refused("${workspaceFolder}", "${workspaceFolder} is the folder open in an editor; write an absolute "
                       "path, or ${envmux:workspace} for the session's private folder");
        assert_expands("${workspaceFolder:-/src}", "/src");
}

static void unknown_markers_expand_to_nothing(void **state)
{
        _cleanup_free_ char *expanded = NULL, *cut = NULL;

        assert_int_equal(template_expand("a\x01zb\x01", values, &expanded), 0);
        assert_string_equal(expanded, "ab");
        assert_int_equal(template_expand("\x01" "d\x02rest", values, &cut), 0);
        assert_string_equal(cut, "rest");
        assert_int_equal(template_uses("\x01z\x01"), 0);
}

static void names_are_known(void **state)
{
        assert_string_equal(template_value_to_string(TEMPLATE_SEED), "seed");
        assert_string_equal(template_value_to_string(TEMPLATE_WORKSPACE), "workspace");
        assert_null(template_value_to_string(TEMPLATE__MAX));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plain_text_passes),
                cmocka_unit_test(variables_are_resolved_once),
                cmocka_unit_test(defaults_stand_for_unset_and_empty),
                cmocka_unit_test(session_values_are_put_in),
                cmocka_unit_test(session_values_are_never_expanded_again),
                cmocka_unit_test(short_forms_yield_to_the_environment),
                cmocka_unit_test(uses_are_reported),
                cmocka_unit_test(mistakes_say_what_to_do),
                cmocka_unit_test(references_of_other_clients_say_what_to_do),
                cmocka_unit_test(unknown_markers_expand_to_nothing),
                cmocka_unit_test(names_are_known),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
