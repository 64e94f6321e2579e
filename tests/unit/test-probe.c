#include "worker/probe.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum probe_answer ask(const char *line)
{
        return probe_read(line, strlen(line));
}

#define DISCOVERED(rest) "{\"jsonrpc\":\"2.0\",\"id\":\"envmux-probe-discover\"," rest "}"

static void test_a_modern_revision_is_modern(void **state)
{
        assert_int_equal(ask(DISCOVERED("\"result\":{\"supportedVersions\":[\"2026-07-28\"],\"resultType\":\"complete\"}")),
                         PROBE_MODERN);
        assert_int_equal(ask(DISCOVERED("\"result\":{\"supportedVersions\":[\"2025-11-25\",7,\"2027-01-01\"]}")),
                         PROBE_MODERN);
        /* It says which it speaks: its clients hear that from itself. */
        assert_int_equal(ask(DISCOVERED("\"error\":{\"code\":-32022,\"message\":\"no\",\"data\":"
                                        "{\"supported\":[\"2027-01-01\"],\"requested\":\"2026-07-28\"}}")),
                         PROBE_MODERN);
}

static void test_everything_else_refuses(void **state)
{
        assert_int_equal(ask(DISCOVERED("\"error\":{\"code\":-32601,\"message\":\"no\"}")), PROBE_REFUSED);
        assert_int_equal(ask(DISCOVERED("\"error\":{\"code\":-32022,\"message\":\"no\",\"data\":"
                                        "{\"supported\":[\"2025-11-25\"]}}")), PROBE_REFUSED);
        assert_int_equal(ask(DISCOVERED("\"error\":{\"code\":-32602,\"message\":\"no\",\"data\":"
                                        "{\"supported\":[\"2026-07-28\"]}}")), PROBE_REFUSED);
        assert_int_equal(ask(DISCOVERED("\"result\":{}")), PROBE_REFUSED);
        assert_int_equal(ask(DISCOVERED("\"result\":[]")), PROBE_REFUSED);
        assert_int_equal(ask(DISCOVERED("\"result\":{\"supportedVersions\":\"2026-07-28\"}")), PROBE_REFUSED);
        assert_int_equal(ask(DISCOVERED("\"result\":{\"supportedVersions\":[\"2025-11-25\",\"2026\"]}")), PROBE_REFUSED);
}

static void test_other_lines_say_nothing(void **state)
{
        assert_int_equal(ask("listening"), PROBE_NOTHING);
        assert_int_equal(ask("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}"), PROBE_NOTHING);
        assert_int_equal(ask("{\"jsonrpc\":\"2.0\",\"id\":\"envmux-probe-discover\",\"method\":\"roots/list\"}"), PROBE_NOTHING);
        assert_int_equal(ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"), PROBE_NOTHING);
        assert_int_equal(ask("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"?\"}}"),
                         PROBE_NOTHING);
        assert_int_equal(ask("[]"), PROBE_NOTHING);
        assert_int_equal(ask(""), PROBE_NOTHING);
}

static void test_initialize(void **state)
{
        assert_int_equal(ask("{\"jsonrpc\":\"2.0\",\"id\":\"envmux-probe-initialize\",\"result\":{}}"),
                         PROBE_INITIALIZED);
        assert_int_equal(ask("{\"jsonrpc\":\"2.0\",\"id\":\"envmux-probe-initialize\",\"error\":"
                             "{\"code\":-32022,\"message\":\"no\"}}"), PROBE_INITIALIZED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_modern_revision_is_modern),
                cmocka_unit_test(test_everything_else_refuses),
                cmocka_unit_test(test_other_lines_say_nothing),
                cmocka_unit_test(test_initialize),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
