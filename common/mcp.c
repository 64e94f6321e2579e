#include "common/mcp.h"

const char *const mcp_legacy_versions[] = { "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", NULL };

static bool is_revision(const char *version, size_t size)
{
        static const char form[] = "dddd-dd-dd";

        if (size != sizeof(form) - 1)
                return false;
        for (size_t i = 0; i < size; i++)
                if (form[i] == 'd' ? version[i] < '0' || version[i] > '9' : version[i] != form[i])
                        return false;
        return true;
}

bool mcp_version_is_modern(const char *version, size_t size)
{
        return is_revision(version, size) && memcmp(version, MCP_MODERN, size) >= 0;
}

bool mcp_head_is_modern(const struct http_head *head)
{
        struct http_slice value;

        return http_head_get(head, "MCP-Protocol-Version", &value) == 0 &&
               mcp_version_is_modern(value.data, value.size);
}

void mcp_envelope_read(const struct jsonrpc_message *message, struct mcp_envelope *ret)
{
        struct mcp_envelope envelope = {};
        const struct {
                const char *name;
                struct json_slice *value;
        } members[] = {
                { MCP_META_PREFIX "protocolVersion", &envelope.version },
                { MCP_META_PREFIX "clientInfo", &envelope.client_info },
                { MCP_META_PREFIX "clientCapabilities", &envelope.client_capabilities },
                { MCP_META_PREFIX "logLevel", &envelope.log_level },
        };

        if (message->params.size > 0 && json_get(message->params, "_meta", &envelope.meta) == 0)
                for (size_t i = 0; i < ELEMENTSOF(members); i++)
                        (void) json_get(envelope.meta, members[i].name, members[i].value);
        *ret = envelope;
}

static bool claims_modern(struct json_slice version)
{
        char text[16];
        ssize_t size = json_string_copy(version, text, sizeof(text));

        return size > 0 && mcp_version_is_modern(text, (size_t) size);
}

bool mcp_is_modern(const struct http_head *head, const struct jsonrpc_message *message)
{
        struct mcp_envelope envelope;

        if (message->kind != JSONRPC_REQUEST && message->kind != JSONRPC_NOTIFICATION)
                return false;
        mcp_envelope_read(message, &envelope);
        if (message->kind == JSONRPC_REQUEST && jsonrpc_method_is(message, "initialize"))
                return envelope.version.size > 0 && claims_modern(envelope.version);
        return envelope.version.size > 0 || mcp_head_is_modern(head);
}
