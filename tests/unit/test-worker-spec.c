#include "worker/launch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define REQUIRED "\"id\":\"i\",\"server\":\"s\",\"key\":\"k\",\"token\":\"t\",\"kind\":\"transport\"," \
                 "\"transport\":\"stdio\",\"command\":\"/bin/true\""
#define VALUES "\"values\":{\"seed\":\"7\",\"session\":\"i\",\"workspace\":\"/w\"}"

static struct spec *parsed(const char *text)
{
        struct spec *spec;
        char *why = NULL;

        if (spec_parse(text, strlen(text), &spec, &why) < 0)
                fail_msg("%s", why);
        return spec;
}

static void expect_refused(const char *text, const char *word)
{
        struct spec *spec;
        char *why = NULL;

        assert_int_equal(spec_parse(text, strlen(text), &spec, &why), -EINVAL);
        assert_non_null(strstr(why, word));
        free(why);
}

static void test_members_are_read(void **state)
{
        struct spec *spec = parsed("{" REQUIRED "," VALUES ",\"generation\":3,\"args\":[\"a\",\"\"],"
                                   "\"attach\":\"reject\","
                                   "\"awaits_request\":true,\"idle_usec\":18446744073709551615,\"unknown\":[1],"
                                   "\"config\": {\"p\": 0.80, \"n\":123456789012345678901234567890} }");

        assert_string_equal(spec->id, "i");
        assert_int_equal(spec->kind, KEY_TRANSPORT);
        assert_int_equal(spec->transport, TRANSPORT_STDIO);
        assert_int_equal(spec->attach, ATTACH_REJECT);
        assert_int_equal(spec->generation, 3);
        assert_true(spec->awaits_request);
        assert_true(spec->idle_usec == USEC_INFINITY);
        assert_string_equal(spec->args[0], "a");
        assert_string_equal(spec->args[1], "");
        assert_null(spec->args[2]);
        assert_string_equal(spec->values[TEMPLATE_SEED], "7");
        assert_null(spec->values[TEMPLATE_CONFIG_FILE]);
        assert_string_equal(spec->config, "{\"p\": 0.80, \"n\":123456789012345678901234567890}");
        spec_free(spec);
}

static void test_numbers_may_stand_for_the_seed(void **state)
{
        struct spec *spec = parsed("{" REQUIRED ",\"values\":{\"seed\":0,\"workspace\":\"/w\"},\"config\":null}");

        assert_string_equal(spec->values[TEMPLATE_SEED], "0");
        assert_null(spec->config);
        spec_free(spec);
}

static void test_what_is_missing_or_wrong_is_named(void **state)
{
        expect_refused("{" VALUES "}", "\"id\"");
        expect_refused("[]", "not a JSON object");
        expect_refused("{" REQUIRED "}", "\"values\"");
        expect_refused("{" REQUIRED "," VALUES ",\"args\":[1]}", "\"args\"");
        expect_refused("{" REQUIRED "," VALUES ",\"attach\":\"later\"}", "\"attach\"");
        expect_refused("{" REQUIRED "," VALUES ",\"start_usec\":-1}", "\"start_usec\"");
        expect_refused("{" REQUIRED "," VALUES ",\"token\":\"0123456789012345678901234567890123456789\"}", "\"token\"");
}

static const char *env_get(char *const *env, const char *name)
{
        size_t n = strlen(name);

        for (; *env; env++)
                if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
                        return *env + n + 1;
        return NULL;
}

/* members may hold compiled templates: 0x01 and a letter, a for the seed, f for the workspace (common/template.h). */
static struct launch *launched(const char *members)
{
        char *const base[] = { (char *) "PATH=/bin", (char *) "HOME=/h", (char *) "NOTIFY_SOCKET=/n",
                               (char *) "LISTEN_FDS=1", NULL };
        char text[1024];
        struct launch *launch;

        strcpy(text, "{" REQUIRED "," VALUES ",");
        strcat(strcat(text, members), "}");
        struct spec *spec = parsed(text);
        const char *values[TEMPLATE__MAX];

        for (size_t i = 0; i < TEMPLATE__MAX; i++)
                values[i] = spec->values[i];
        assert_int_equal(launch_new(spec, values, base, &launch), 0);
        spec_free(spec);
        return launch;
}

static void test_values_enter_arguments_environment_and_folder(void **state)
{
        struct launch *launch = launched("\"args\":[\"--seed=\\u0001a\"],\"env\":[\"HOME=\\u0001f/home\",\"X=1\"],"
                                         "\"cwd\":\"\\u0001f/sub\",\"tmp\":\"/t\",\"config\":{\"a\":1}");

        assert_string_equal(launch->argv[0], "/bin/true");
        assert_string_equal(launch->argv[1], "--seed=7");
        assert_null(launch->argv[2]);
        assert_string_equal(launch->cwd, "/w/sub");
        assert_string_equal(env_get(launch->envp, "PATH"), "/bin");
        assert_string_equal(env_get(launch->envp, "HOME"), "/w/home");
        assert_string_equal(env_get(launch->envp, "TMPDIR"), "/t");
        assert_string_equal(env_get(launch->envp, "ENVMUX_SEED"), "7");
        assert_string_equal(env_get(launch->envp, "ENVMUX_SESSION"), "i");
        assert_string_equal(env_get(launch->envp, "ENVMUX_WORKSPACE"), "/w");
        assert_string_equal(env_get(launch->envp, "ENVMUX_CONFIG"), "{\"a\":1}");
        launch_free(launch);
}

static void test_the_service_managers_words_stay_here(void **state)
{
        struct launch *launch = launched("\"cwd\":null");

        assert_null(env_get(launch->envp, "NOTIFY_SOCKET"));
        assert_null(env_get(launch->envp, "LISTEN_FDS"));
        assert_null(env_get(launch->envp, "ENVMUX_CONFIG"));
        assert_string_equal(launch->cwd, "/w");
        launch_free(launch);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_members_are_read),
                cmocka_unit_test(test_numbers_may_stand_for_the_seed),
                cmocka_unit_test(test_what_is_missing_or_wrong_is_named),
                cmocka_unit_test(test_values_enter_arguments_environment_and_folder),
                cmocka_unit_test(test_the_service_managers_words_stay_here),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
