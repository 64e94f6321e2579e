#include "supervisor/worker_spec.h"

#include "common/json_scan.h"
#include "supervisor/session_json.h"
#include "supervisor/session_settings.h"
#include "tests/unit/supervisor-fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_text(struct json_slice object, const char *name, const char *expected)
{
        struct json_slice value;
        char text[512];

        assert_int_equal(json_get(object, name, &value), 0);
        assert_true(json_string_copy(value, text, sizeof(text)) >= 0);
        assert_string_equal(text, expected);
}

/* The bytes of a member that is no string. */
static void assert_raw(struct json_slice object, const char *name, const char *expected)
{
        struct json_slice value;

        assert_int_equal(json_get(object, name, &value), 0);
        assert_int_equal(value.size, strlen(expected));
        assert_memory_equal(value.data, expected, value.size);
}

static void test_spec(void **state)
{
        char *args[] = { (char *) "--say", (char *) "a \"b\"\n\x01s", NULL };
        char *env[] = { (char *) "A=1", NULL };
        struct session *s = fixture_session("lake", "_", KEY_TRANSPORT, "t");
        _cleanup_free_ char *text = NULL;
        struct json_slice spec, values;
        size_t size;

        fixture->lake.args = args;
        fixture->lake.env = env;
        fixture->lake.transport = TRANSPORT_HTTP;
        s->awaits_request = true;
        s->record.has_seed = true;
        s->record.seed = -7;
        s->record.idle_usec = USEC_INFINITY;
        s->record.config = strdup("{ \"n\": 1e400 }");
        s->paths = (struct workspace_paths) { .work = strdup("/w"), .tmp = strdup("/t"), .config_file = strdup("/c") };
        assert_int_equal(worker_spec_build(s, &fixture->lake, "/bin/lake", &text, &size), 0);
        assert_int_equal(json_validate(text, size, &spec), 0);
        assert_text(spec, "id", s->record.id);
        assert_text(spec, "token", s->record.token);
        assert_text(spec, "kind", "transport");
        assert_text(spec, "transport", "http");
        assert_text(spec, "command", "/bin/lake");
        assert_raw(spec, "args", "[\"--say\",\"a \\\"b\\\"\\n\\u0001s\"]");
        assert_raw(spec, "env", "[\"A=1\"]");
        assert_int_equal(json_get(spec, "cwd", &values), -ENOENT);
        assert_raw(spec, "awaits_request", "true");
        assert_raw(spec, "idle_usec", "0");
        assert_raw(spec, "start_usec", "60000000");
        assert_raw(spec, "config", "{ \"n\": 1e400 }");
        assert_int_equal(json_get(spec, "values", &values), 0);
        assert_text(values, "seed", "-7");
        assert_text(values, "session", s->record.id);
        assert_text(values, "config_file", "/c");
        assert_text(values, "workspace", "/w");
}

static void test_spec_without_seed_and_config(void **state)
{
        struct session *s = fixture_session("lake", "_", KEY_NAMED, "k");
        _cleanup_free_ char *text = NULL;
        struct json_slice spec, values, value;
        size_t size;

        s->paths = (struct workspace_paths) { .work = strdup("/w"), .tmp = strdup("/t") };
        assert_int_equal(worker_spec_build(s, &fixture->lake, "/bin/lake", &text, &size), 0);
        assert_int_equal(json_validate(text, size, &spec), 0);
        assert_int_equal(json_get(spec, "config", &value), -ENOENT);
        assert_int_equal(json_get(spec, "values", &values), 0);
        assert_int_equal(json_get(values, "seed", &value), -ENOENT);
        assert_int_equal(json_get(values, "config_file", &value), -ENOENT);
}

static void test_description(void **state)
{
        struct session *s = fixture_session("lake", "_", KEY_NAMED, "k");
        _cleanup_free_ char *text = NULL;
        struct json_writer w = { .failed = false };
        struct session_alias *evicted;
        struct json_slice json, value;
        size_t size;

        s->record.has_seed = true;
        s->record.labels = strdup("{\"run\":\"1\"}");
        s->state = SESSION_IDLE;
        s->worker_pid = 11;
        s->backend_pid = 12;
        s->status.requests = 3;
        assert_int_equal(session_alias_add(fixture->supervisor.sessions, s, KEY_TRANSPORT, "t\"", &evicted), 1);
        session_json_write(s, &w);
        assert_int_equal(json_writer_finish(&w, &text, &size), 0);
        assert_int_equal(json_validate(text, size, &json), 0);
        assert_text(json, "state", "active");
        assert_text(json, "sub_state", "idle");
        assert_text(json, "url", "/lake/s/k/mcp");
        assert_raw(json, "seed", "0");
        assert_raw(json, "labels", "{\"run\":\"1\"}");
        assert_raw(json, "requests", "3");
        assert_raw(json, "backend_pid", "12");
        assert_raw(json, "aliases", "[{\"kind\":\"transport\",\"key\":\"t\\\"\"}]");
        assert_int_equal(json_get(json, "last_exit", &value), -ENOENT);
}

/* ---- the body of PUT -------------------------------------------------------------------------- */

static int parse(const char *body, struct session_settings *ret, char **why)
{
        *why = NULL;
        return session_settings_parse(body, strlen(body), ret, why);
}

static void test_settings(void **state)
{
        _cleanup_settings_ struct session_settings a = { .has_seed = false }, b = { .has_seed = false };
        char *why;

        assert_int_equal(parse("{\"seed\":0,\"config\":{\"a\":1.0},\"labels\":{\"x\":\"y\"},\"idle_timeout\":\"90s\","
                               "\"lifetime\":1.5}", &a, &why), 0);
        assert_true(a.has_seed);
        assert_int_equal(a.seed, 0);
        assert_string_equal(a.config, "{\"a\":1.0}");
        assert_string_equal(a.labels, "{\"x\":\"y\"}");
        assert_int_equal(a.idle_usec, 90 * USEC_PER_SEC);
        assert_int_equal(a.lifetime_usec, 1500 * USEC_PER_MSEC);
        assert_int_equal(parse(" {\"lifetime\":1.5,\"idle_timeout\":\"90s\",\"labels\":{\"x\":\"y\"},"
                               "\"config\": {\"a\": 1.0}, \"seed\": 0}", &b, &why), 0);
        assert_string_equal(a.digest, b.digest);
        session_settings_done(&b);
        assert_int_equal(parse("{\"seed\":1}", &b, &why), 0);
        assert_string_not_equal(a.digest, b.digest);
        assert_false(session_settings_is_empty(&b));
}

static void test_empty_settings(void **state)
{
        _cleanup_settings_ struct session_settings a = { .has_seed = true }, b = { .has_seed = false };
        char *why;

        assert_int_equal(parse("", &a, &why), 0);
        assert_int_equal(parse("{ }", &b, &why), 0);
        assert_true(session_settings_is_empty(&a));
        assert_string_equal(a.digest, b.digest);
}

static void test_wrong_settings(void **state)
{
        static const char *const bodies[] = {
                "[]", "null", "{", "{\"seed\":1.5}", "{\"seed\":\"1\"}", "{\"seed\":9223372036854775808}",
                "{\"seed\":1,\"seed\":2}", "{\"labels\":{\"a\":1}}", "{\"labels\":[]}", "{\"idle_timeout\":0}",
                "{\"idle_timeout\":-1}", "{\"lifetime\":\"soon\"}", "{\"lifetime\":true}", "{\"seeed\":1}",
        };

        for (size_t i = 0; i < ELEMENTSOF(bodies); i++) {
                struct session_settings settings;
                _cleanup_free_ char *why = NULL;

                assert_int_equal(session_settings_parse(bodies[i], strlen(bodies[i]), &settings, &why), -EINVAL);
                assert_non_null(why);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_spec, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_spec_without_seed_and_config, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_description, fixture_setup, fixture_teardown),
                cmocka_unit_test(test_settings),
                cmocka_unit_test(test_empty_settings),
                cmocka_unit_test(test_wrong_settings),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
