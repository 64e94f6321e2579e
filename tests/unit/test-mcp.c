#include "common/mcp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEADER(name_, value_) { .name = { name_, sizeof(name_) - 1 }, .value = { value_, sizeof(value_) - 1 } }
#define CALL(method, params) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":" params "}"
#define CLAIM(version) "{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":" version "}}"

static const struct http_header modern_header[] = { HEADER("mcp-protocol-version", "2026-07-28") };
static const struct http_header legacy_header[] = { HEADER("MCP-Protocol-Version", "2025-11-25") };
static const struct http_header two_headers[] = {
        HEADER("MCP-Protocol-Version", "2026-07-28"), HEADER("MCP-Protocol-Version", "2026-07-28"),
};

static const struct http_head no_head = {};
static const struct http_head modern_head = { .headers = modern_header, .n_headers = 1 };
static const struct http_head legacy_head = { .headers = legacy_header, .n_headers = 1 };
static const struct http_head doubled_head = { .headers = two_headers, .n_headers = 2 };

static bool is_modern(const struct http_head *head, const char *text)
{
        struct jsonrpc_message message;

        assert_int_equal(jsonrpc_parse(text, strlen(text), &message), 0);
        return mcp_is_modern(head, &message);
}

static bool version_is_modern(const char *version)
{
        return mcp_version_is_modern(version, strlen(version));
}

static void test_versions(void **state)
{
        assert_true(version_is_modern("2026-07-28"));
        assert_true(version_is_modern("2026-12-01"));
        assert_true(version_is_modern("2030-01-01"));
        assert_false(version_is_modern("2026-07-27"));
        for (const char *const *version = mcp_legacy_versions; *version; version++)
                assert_false(version_is_modern(*version));
        assert_false(version_is_modern(""));
        assert_false(version_is_modern("2026-07-28 "));
        assert_false(version_is_modern("2026-07-2"));
        assert_false(version_is_modern("latest"));
        assert_false(version_is_modern("DRAFT-2026"));
        assert_false(version_is_modern("zzzz-zz-zz"));
}

static void test_heads(void **state)
{
        assert_true(mcp_head_is_modern(&modern_head));
        assert_false(mcp_head_is_modern(&legacy_head));
        assert_false(mcp_head_is_modern(&no_head));
        assert_false(mcp_head_is_modern(&doubled_head));
}

static void test_the_body_decides(void **state)
{
        static const char claim[] = CALL("tools/call", CLAIM("\"2026-07-28\""));

        assert_true(is_modern(&no_head, claim));
        assert_true(is_modern(&legacy_head, claim));
        assert_true(is_modern(&modern_head, claim));
        /* A wrong claim is still one; to say what is wrong is the worker's. */
        assert_true(is_modern(&no_head, CALL("tools/call", CLAIM("\"2025-11-25\""))));
        assert_true(is_modern(&no_head, CALL("tools/call", CLAIM("7"))));
}

static void test_without_a_claim_the_head_decides(void **state)
{
        static const char *const plain[] = {
                CALL("tools/list", "{}"), CALL("tools/list", "{\"_meta\":{}}"), CALL("tools/list", "{\"_meta\":3}"),
                CALL("tools/list", "[1]"), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}",
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}",
        };

        for (size_t i = 0; i < ELEMENTSOF(plain); i++) {
                assert_true(is_modern(&modern_head, plain[i]));
                assert_false(is_modern(&legacy_head, plain[i]));
                assert_false(is_modern(&no_head, plain[i]));
        }
}

static void test_initialize_is_legacy_unless_it_claims(void **state)
{
        assert_false(is_modern(&no_head, CALL("initialize", "{}")));
        assert_false(is_modern(&modern_head, CALL("initialize", "{}")));
        assert_false(is_modern(&modern_head, CALL("initialize", CLAIM("\"2025-11-25\""))));
        assert_false(is_modern(&modern_head, CALL("initialize", CLAIM("20260728"))));
        assert_true(is_modern(&no_head, CALL("initialize", CLAIM("\"2026-07-28\""))));
}

static void test_responses_and_batches_are_legacy(void **state)
{
        assert_false(is_modern(&modern_head, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"));
        assert_false(is_modern(&modern_head, "[" CALL("tools/list", CLAIM("\"2026-07-28\"")) "]"));
}

static void assert_slice(struct json_slice value, const char *text)
{
        assert_int_equal(value.size, strlen(text));
        assert_memory_equal(value.data, text, value.size);
}

static void test_envelope(void **state)
{
        static const char full[] = CALL("tools/list", "{\"_meta\":{"
                "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
                "\"io.modelcontextprotocol\\u002FclientInfo\":{\"name\":\"c\"},"
                "\"io.modelcontextprotocol/clientCapabilities\":{},"
                "\"io.modelcontextprotocol/logLevel\":\"info\",\"progressToken\":0}}");
        struct jsonrpc_message message;
        struct mcp_envelope envelope;

        assert_int_equal(jsonrpc_parse(full, strlen(full), &message), 0);
        mcp_envelope_read(&message, &envelope);
        assert_slice(envelope.version, "\"2026-07-28\"");
        assert_slice(envelope.client_info, "{\"name\":\"c\"}");
        assert_slice(envelope.client_capabilities, "{}");
        assert_slice(envelope.log_level, "\"info\"");
        assert_true(envelope.meta.size > 0);

        assert_int_equal(jsonrpc_parse(CALL("x", "{}"), strlen(CALL("x", "{}")), &message), 0);
        mcp_envelope_read(&message, &envelope);
        assert_int_equal(envelope.meta.size, 0);
        assert_int_equal(envelope.version.size, 0);
        assert_int_equal(envelope.log_level.size, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_versions),
                cmocka_unit_test(test_heads),
                cmocka_unit_test(test_the_body_decides),
                cmocka_unit_test(test_without_a_claim_the_head_decides),
                cmocka_unit_test(test_initialize_is_legacy_unless_it_claims),
                cmocka_unit_test(test_responses_and_batches_are_legacy),
                cmocka_unit_test(test_envelope),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
