#include "common/identity.h"

#include <md5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define REWARD_KIT(extra) "{\"name\":\"reward-kit\",\"version\":\"1.0.0\",\"_extra\":" extra "}"
#define LAKE_4X4(seed) "{\"game\":\"FrozenLake\",\"map_name\":\"4x4\",\"seed\":" seed "}"

static struct json_slice slice(const char *text)
{
        struct json_slice value = { NULL, 0 };

        assert_int_equal(json_validate(text, strlen(text), &value), 0);
        return value;
}

/* Hashes that the predecessor computed. */
static void test_predecessor_vectors(void **state)
{
        static const struct {
                const char *client_info, *identity;
        } vectors[] = {
                { REWARD_KIT("{\"seed\":42,\"config\":" LAKE_4X4("42") "}"), "d2be3f2a2f3b19783ea35ec70e71b4da" },
                { REWARD_KIT("{\"config\":" LAKE_4X4("123") ",\"seed\":123}"), "4a322ac917f50f7e3f4b08dfd746ffb0" },
                { REWARD_KIT("{ \"seed\" : 456, \"config\" : " LAKE_4X4("456") "}"),
                  "0d4514daeda08f5bdb2600f8e095582d" },
                { REWARD_KIT("{\"seed\":7,\"config\":{}}"), "8728b3588f3efd881fc51d8c5324e8ba" },
                { REWARD_KIT("{\"seed\":7}"), "8728b3588f3efd881fc51d8c5324e8ba" },
                { REWARD_KIT("{\"seed\":null,\"config\":{\"a\":null,\"u\":\"\xc3\xa9\xf0\x9f\x98\x80\",\"f\":1e+16,"
                             "\"g\":0.1,\"h\":1.0,\"b\":true}}"), "a8c91167efee1c276e4abbbff50ee3ac" },
                { REWARD_KIT("{\"config\":{\"b\":true,\"h\":1.0,\"g\":0.1,\"f\":1e+16,\"u\":\"\\u00e9\\ud83d\\ude00\","
                             "\"a\":null}}"),
                  "a8c91167efee1c276e4abbbff50ee3ac" },
                { REWARD_KIT("{\"seed\":42,\"config\":{\"p\":0.8,\"seed\":42,\"size\":4}}"),
                  "3bfc9c19bd448437ccf362754446fe4e" },
        };

        for (size_t i = 0; i < ELEMENTSOF(vectors); i++) {
                char identity[IDENTITY_SIZE];

                assert_int_equal(identity_from_client_info(slice(vectors[i].client_info), identity), 0);
                assert_string_equal(identity, vectors[i].identity);
        }
}

static void assert_canonical(const char *text, const char *expected)
{
        _cleanup_free_ char *canonical = NULL;
        size_t size;

        assert_int_equal(identity_canonical_json(slice(text), &canonical, &size), 0);
        assert_string_equal(canonical, expected);
        assert_int_equal(size, strlen(expected));
}

/* The second predecessor's client hashes other members by the same rules. */
static void test_client_side_vector(void **state)
{
        _cleanup_free_ char *canonical = NULL;
        char digest[MD5_DIGEST_STRING_LENGTH];
        MD5_CTX context;
        size_t size;

        static const char text[] = "{\"seed\":42,\"config\":" LAKE_4X4("42") ",\"dataset_row_id\":"
                                   "\"multi_env_test_001\",\"model_id\":\"m\"}";

        assert_int_equal(identity_canonical_json(slice(text), &canonical, &size), 0);
        MD5Init(&context);
        MD5Update(&context, (const uint8_t *) canonical, size);
        assert_string_equal(MD5End(&context, digest), "0c0bb33614fe24ea9eee480d249081fe");
}

static void test_canonical_form(void **state)
{
        assert_canonical(" {\"b\" :[ 1,2.50 ,-0, 1E+05],\"a\": {} , \"c\":[ ] }",
                         "{\"a\": {}, \"b\": [1, 2.50, -0, 1E+05], \"c\": []}");
        assert_canonical("{\"B\":1,\"a\":2,\"A\":3,\"\":4}", "{\"\": 4, \"A\": 3, \"B\": 1, \"a\": 2}");
        assert_canonical("{\"a\":1,\"b\":2,\"\\u0061\":3}", "{\"a\": 3, \"b\": 2}");
        assert_canonical("{\"\\ud83d\\ude00\":1,\"\xef\xbf\xbf\":2}", "{\"\\uffff\": 2, \"\\ud83d\\ude00\": 1}");
        assert_canonical("\"\\/\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f\\u00E9\\ud800\"",
                         "\"/\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f\\u00e9\\ud800\"");
        assert_canonical("[[{\"z\":[null,false],\"y\":{\"x\":true}}]]",
                         "[[{\"y\": {\"x\": true}, \"z\": [null, false]}]]");
}

static void test_deepest_value_is_walked_without_recursion(void **state)
{
        char text[2 * JSON_DEPTH_MAX + 1];

        memset(text, '[', JSON_DEPTH_MAX);
        memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
        text[2 * JSON_DEPTH_MAX] = '\0';
        assert_canonical(text, text);
}

static void test_own_session_id_wins(void **state)
{
        char identity[IDENTITY_SIZE], longest[512];

        assert_int_equal(identity_from_client_info(slice(REWARD_KIT("{\"session_id\":\"row-1/m\",\"seed\":42}")),
                                                   identity), 0);
        assert_string_equal(identity, "row-1/m");
        (void) snprintf(longest, sizeof(longest), "{\"_extra\":{\"session_id\":\"%0256d\"}}", 0);
        assert_int_equal(identity_from_client_info(slice(longest), identity), 0);
        assert_int_equal(strlen(identity), 256);
}

static void test_unusable_session_id_is_passed_over(void **state)
{
        static const char *const unusable[] = {
                REWARD_KIT("{\"session_id\":\"\",\"seed\":7}"), REWARD_KIT("{\"session_id\":\"a b\",\"seed\":7}"),
                REWARD_KIT("{\"session_id\":\"\xc3\xa9\",\"seed\":7}"),
                REWARD_KIT("{\"session_id\":\"a\\u0000\",\"seed\":7}"),
                REWARD_KIT("{\"session_id\":5,\"seed\":7}"), REWARD_KIT("{\"session_id\":null,\"seed\":7}"),
        };
        char identity[IDENTITY_SIZE], too_long[512];

        for (size_t i = 0; i < ELEMENTSOF(unusable); i++) {
                assert_int_equal(identity_from_client_info(slice(unusable[i]), identity), 0);
                assert_string_equal(identity, "8728b3588f3efd881fc51d8c5324e8ba");
        }
        (void) snprintf(too_long, sizeof(too_long), REWARD_KIT("{\"session_id\":\"%0257d\",\"seed\":7}"), 0);
        assert_int_equal(identity_from_client_info(slice(too_long), identity), 0);
        assert_string_equal(identity, "8728b3588f3efd881fc51d8c5324e8ba");
}

static void test_no_extra_is_no_identity(void **state)
{
        char identity[IDENTITY_SIZE] = "untouched";

        assert_int_equal(identity_from_client_info(slice("{\"name\":\"a\",\"version\":\"1\"}"), identity), -ENOENT);
        assert_int_equal(identity_from_client_info(slice("{\"_extra\":null}"), identity), -ENOENT);
        assert_int_equal(identity_from_client_info(slice("[]"), identity), -ENOENT);
        assert_string_equal(identity, "untouched");
}

static void test_seed(void **state)
{
        int64_t seed = 99;

        assert_int_equal(identity_seed(slice(REWARD_KIT("{\"seed\":0,\"config\":{\"seed\":5}}")), &seed), 0);
        assert_int_equal(seed, 0);
        assert_int_equal(identity_seed(slice(REWARD_KIT("{\"seed\":null,\"config\":{\"seed\":5}}")), &seed), 0);
        assert_int_equal(seed, 5);
        assert_int_equal(identity_seed(slice(REWARD_KIT("{\"config\":{\"seed\":-3}}")), &seed), 0);
        assert_int_equal(seed, -3);
        assert_int_equal(identity_seed(slice(REWARD_KIT("{\"seed\":\"7\",\"config\":{\"seed\":1.5}}")), &seed),
                         -ENOENT);
        assert_int_equal(identity_seed(slice(REWARD_KIT("{}")), &seed), -ENOENT);
        assert_int_equal(identity_seed(slice("{\"name\":\"a\"}"), &seed), -ENOENT);
        assert_int_equal(seed, -3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_predecessor_vectors),
                cmocka_unit_test(test_client_side_vector),
                cmocka_unit_test(test_canonical_form),
                cmocka_unit_test(test_deepest_value_is_walked_without_recursion),
                cmocka_unit_test(test_own_session_id_wins),
                cmocka_unit_test(test_unusable_session_id_is_passed_over),
                cmocka_unit_test(test_no_extra_is_no_identity),
                cmocka_unit_test(test_seed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
