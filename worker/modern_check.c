#include "worker/modern_check.h"

#include "worker/modern_header.h"

static int fault(struct modern_fault *ret, enum reason reason, const char *detail)
{
        ret->reason = reason;
        STR_COPY(ret->detail, detail);
        return -EINVAL;
}

/* ---- the envelope ---- */

int modern_log_level(struct json_slice level)
{
        static const char *const levels[] = { "debug",  "info",     "notice", "warning",
                                              "error",  "critical", "alert",  "emergency" };

        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (level.size > 0 && json_string_is(level, levels[i]))
                        return (int) i;
        return -ENOENT;
}

static bool is_string_member(struct json_slice object, const char *name)
{
        struct json_slice value;

        return json_get(object, name, &value) >= 0 && json_slice_type(value) == JSON_STRING;
}

static bool client_info_is_fine(struct json_slice info)
{
        return json_slice_type(info) == JSON_OBJECT && is_string_member(info, "name") && is_string_member(info, "version");
}

static const char *envelope_fault(const struct mcp_envelope *envelope)
{
        if (envelope->version.size == 0)
                return "_meta[\"" MCP_META_PREFIX "protocolVersion\"] is missing";
        if (json_slice_type(envelope->version) != JSON_STRING)
                return "_meta[\"" MCP_META_PREFIX "protocolVersion\"] is not a string";
        if (envelope->client_capabilities.size == 0)
                return "_meta[\"" MCP_META_PREFIX "clientCapabilities\"] is missing";
        if (json_slice_type(envelope->client_capabilities) != JSON_OBJECT)
                return "_meta[\"" MCP_META_PREFIX "clientCapabilities\"] is not an object";
        if (envelope->client_info.size > 0 && !client_info_is_fine(envelope->client_info))
                return "_meta[\"" MCP_META_PREFIX "clientInfo\"] has no name and version";
        if (envelope->log_level.size > 0 && modern_log_level(envelope->log_level) < 0)
                return "_meta[\"" MCP_META_PREFIX "logLevel\"] is not a level";
        return NULL;
}

/* ---- headers ---- */

/* What the header says is checked against a string of the body; without the header: 0 when it may be absent. */
static int header_check(const struct http_head *head, const char *name, struct json_slice body, bool is_required,
                        const char *detail, struct modern_fault *ret)
{
        struct http_slice value;
        int r = http_head_get(head, name, &value);

        if (r == -ENOENT && !is_required)
                return 0;
        if (r < 0 || !modern_header_is_string(value.data, value.size, body))
                return fault(ret, REASON_header_mismatch, detail);
        return 0;
}

/* Which member of params Mcp-Name repeats. The tasks extension asks it of clients as well, but servers do
 * without it there (SEP-2663). */
static const struct named {
        const char *method, *member;
        bool is_required;
} named[] = {
        { "tools/call", "name", true },    { "prompts/get", "name", true },      { "resources/read", "uri", true },
        { "tasks/get", "taskId", false },  { "tasks/update", "taskId", false },  { "tasks/cancel", "taskId", false },
};

static int name_check(const struct http_head *head, const struct jsonrpc_message *message, struct modern_fault *ret)
{
        static const char detail[] = "Mcp-Name is not what the body names";
        _cleanup_free_ char *text = NULL;
        const struct named *at = NULL;
        struct json_slice body;
        struct http_slice value;
        size_t size;

        for (size_t i = 0; i < ELEMENTSOF(named) && !at; i++)
                if (jsonrpc_method_is(message, named[i].method))
                        at = &named[i];
        /* That a name is missing in the body is the backend's to say. */
        if (!at || message->params.size == 0 || json_get(message->params, at->member, &body) < 0 ||
            json_slice_type(body) != JSON_STRING)
                return 0;
        int r = http_head_get(head, "Mcp-Name", &value);

        if (r == -ENOENT)
                return at->is_required ? fault(ret, REASON_header_mismatch, "Mcp-Name is missing") : 0;
        if (r < 0 || modern_header_decode(value, &text, &size) < 0 || !modern_header_is_string(text, size, body))
                return fault(ret, REASON_header_mismatch, detail);
        return 0;
}

static int version_check(const struct mcp_envelope *envelope, struct modern_fault *ret)
{
        if (json_string_is(envelope->version, MCP_MODERN))
                return 0;
        if (json_string_copy(envelope->version, ret->requested, sizeof(ret->requested)) < 0)
                ret->requested[0] = '\0';
        return fault(ret, REASON_foreign_version, "");
}

static int headers_check(const struct http_head *head, const struct jsonrpc_message *message,
                         const struct mcp_envelope *envelope, bool is_required, struct modern_fault *ret)
{
        int r = header_check(head, "MCP-Protocol-Version", envelope->version, is_required,
                             "MCP-Protocol-Version must be that of the body", ret);

        return r < 0 ? r : header_check(head, "Mcp-Method", message->method, is_required,
                                        "Mcp-Method must be the body's method", ret);
}

static int notification_check(const struct http_head *head, const struct jsonrpc_message *message,
                              const struct mcp_envelope *envelope, struct modern_fault *ret)
{
        int r;

        if (envelope->version.size == 0)
                return header_check(head, "Mcp-Method", message->method, false, "Mcp-Method must be the body's method",
                                    ret);
        if (json_slice_type(envelope->version) != JSON_STRING)
                return fault(ret, REASON_invalid_envelope, envelope_fault(envelope));
        r = headers_check(head, message, envelope, false, ret);
        return r < 0 ? r : version_check(envelope, ret);
}

int modern_check(const struct http_head *head, const struct jsonrpc_message *message,
                 const struct mcp_envelope *envelope, struct modern_fault *ret)
{
        const char *detail = envelope_fault(envelope);
        int r;

        *ret = (struct modern_fault) { 0 };
        if (message->kind == JSONRPC_NOTIFICATION)
                return notification_check(head, message, envelope, ret);
        if (detail)
                return fault(ret, REASON_invalid_envelope, detail);
        /* Of several faults the one that helps most is told: a contradiction, then a revision that is not
         * spoken, then what is missing. */
        r = headers_check(head, message, envelope, false, ret);
        if (r >= 0)
                r = version_check(envelope, ret);
        if (r >= 0)
                r = headers_check(head, message, envelope, true, ret);
        return r < 0 ? r : name_check(head, message, ret);
}
