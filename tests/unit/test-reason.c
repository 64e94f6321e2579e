#include "common/ipc.h"
#include "common/json_scan.h"
#include "common/reason.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_words_go_both_ways(void **state)
{
        for (int i = 0; i < REASON__MAX; i++)
                assert_int_equal(reason_from_string(reason_to_string((enum reason) i)), i);
        assert_int_equal(reason_from_string("no_such_word"), REASON__INVALID);
        assert_int_equal(reason_from_string(""), REASON__INVALID);
        assert_null(reason_to_string(REASON__MAX));
        assert_null(reason_to_string(REASON__INVALID));
}

static void test_rows(void **state)
{
        assert_int_equal(reason_http_status(REASON_unknown_session), 404);
        assert_int_equal(reason_rpc_code(REASON_capacity), -32001);
        assert_true(reason_is_infra(REASON_backend_exited));
        assert_false(reason_is_infra(REASON_bad_request));
        assert_string_equal(reason_text(REASON_backend_exited), "The backend exited");
}

static void assert_jsonrpc(const struct failure *f, const char *id, const char *expected)
{
        _cleanup_free_ char *text = NULL;
        struct json_slice value;
        size_t size;

        assert_int_equal(failure_to_jsonrpc(f, id, id ? strlen(id) : 0, &text, &size), 0);
        assert_string_equal(text, expected);
        assert_int_equal(json_validate(text, size, &value), 0);
}

static void test_jsonrpc_error(void **state)
{
        const char *const lines[] = { "Traceback:", "boom \"x\"", NULL };
        struct failure killed = {
                .reason = REASON_backend_exited, .detail = "killed", .has_exit = true, .exit_signal = SIGKILL,
                .stderr_lines = lines,
        };
        struct failure full = { .reason = REASON_capacity, .retry_after_sec = 2 };
        struct failure exited = { .reason = REASON_start_failed, .has_exit = true, .exit_code = 0 };

        assert_jsonrpc(&killed, "\"a\\u0062\"",
                       "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0062\",\"error\":{\"code\":-32004,"
                       "\"message\":\"The backend exited: killed\","
                       "\"data\":{\"envmux\":{\"reason\":\"backend_exited\",\"infra\":true,\"detail\":\"killed\","
                       "\"signal\":\"SIGKILL\","
                       "\"stderr\":[\"Traceback:\",\"boom \\\"x\\\"\"]}}}}");
        assert_jsonrpc(&full, NULL,
                       "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32001,"
                       "\"message\":\"No room for another session now\","
                       "\"data\":{\"envmux\":{\"reason\":\"capacity\",\"infra\":true,\"retry_after\":2}}}}");
        assert_jsonrpc(&exited, "7",
                       "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32002,"
                       "\"message\":\"The backend could not be started\","
                       "\"data\":{\"envmux\":{\"reason\":\"start_failed\",\"infra\":true,\"exit_status\":0}}}}");
}

static struct failure_owned *there_and_back(const struct failure *f)
{
        _cleanup_free_ char *text = NULL;
        struct failure_owned *owned = NULL;
        size_t size;

        assert_int_equal(failure_to_json(f, &text, &size), 0);
        assert_true(size <= IPC_BLOB_MAX);
        assert_int_equal(failure_from_json(text, size, &owned), 0);
        return owned;
}

static void test_round_trip(void **state)
{
        const char *const lines[] = { "one", "", "tr\xc3\xa8s\tlast", NULL };
        struct failure f = { .reason = REASON_backend_exited, .detail = "d\"", .retry_after_sec = 3, .has_exit = true,
                             .exit_code = 17, .stderr_lines = lines };
        _cleanup_(failure_owned_freep) struct failure_owned *owned = there_and_back(&f);
        const struct failure *back = failure_get(owned);

        assert_int_equal(back->reason, REASON_backend_exited);
        assert_string_equal(back->detail, "d\"");
        assert_int_equal(back->retry_after_sec, 3);
        assert_true(back->has_exit);
        assert_int_equal(back->exit_code, 17);
        assert_int_equal(back->exit_signal, 0);
        for (size_t i = 0; lines[i]; i++)
                assert_string_equal(back->stderr_lines[i], lines[i]);
        assert_null(back->stderr_lines[3]);
}

static void test_every_signal_survives(void **state)
{
        for (int signal = 1; signal <= SIGRTMAX; signal++) {
                struct failure f = { .reason = REASON_backend_exited, .has_exit = true, .exit_signal = signal };
                _cleanup_(failure_owned_freep) struct failure_owned *owned = there_and_back(&f);

                assert_true(failure_get(owned)->has_exit);
                assert_int_equal(failure_get(owned)->exit_signal, signal);
        }
}

static void test_nothing_to_say_stays_so(void **state)
{
        struct failure f = { .reason = REASON_stopping };
        _cleanup_(failure_owned_freep) struct failure_owned *owned = there_and_back(&f);
        const struct failure *back = failure_get(owned);

        assert_null(back->detail);
        assert_null(back->stderr_lines);
        assert_false(back->has_exit);
        assert_int_equal(back->retry_after_sec, 0);
}

/* The worst that a backend can print still fits one frame; the newest lines are kept. */
static void test_quotations_are_cut(void **state)
{
        static char line[4096], detail[8192];
        const char *lines[101] = { NULL };
        struct failure f = { .reason = REASON_internal, .detail = detail, .stderr_lines = lines };

        memset(line, 1, sizeof(line) - 1);
        memset(detail, 1, sizeof(detail) - 1);
        for (size_t i = 0; i < 99; i++)
                lines[i] = line;
        lines[99] = "last";
        _cleanup_(failure_owned_freep) struct failure_owned *owned = there_and_back(&f);
        const struct failure *back = failure_get(owned);

        assert_int_equal(strlen(back->detail), 1024);
        assert_int_equal(strlen(back->stderr_lines[0]), 512);
        assert_string_equal(back->stderr_lines[19], "last");
        assert_null(back->stderr_lines[20]);
}

static void test_reading_refuses_what_is_not_a_failure(void **state)
{
        struct failure_owned *owned = NULL;

        assert_int_equal(failure_from_json("", 0, &owned), -EBADMSG);
        assert_int_equal(failure_from_json("{}", 2, &owned), -EBADMSG);
        assert_int_equal(failure_from_json("{\"reason\":7}", 12, &owned), -EBADMSG);
        assert_null(owned);
        assert_int_equal(failure_from_json("{\"reason\":\"of_a_later_version\"}", 31, &owned), 0);
        assert_int_equal(failure_get(owned)->reason, REASON_internal);
        failure_owned_free(owned);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words_go_both_ways),
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_jsonrpc_error),
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_every_signal_survives),
                cmocka_unit_test(test_nothing_to_say_stays_so),
                cmocka_unit_test(test_quotations_are_cut),
                cmocka_unit_test(test_reading_refuses_what_is_not_a_failure),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
