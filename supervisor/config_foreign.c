#include "supervisor/config_foreign.h"

#include <json-c/json.h>

#define ENTRY(name_, verdict_, clients_, text_) \
        { .name = (name_), .verdict = (verdict_), .clients = (clients_), .text = (text_) }
#define REFUSED(name_, harmless_, clients_, text_)                                                            \
        { .name = (name_), .verdict = FOREIGN_REFUSED, .harmless = (harmless_), .clients = (clients_), .text = (text_) }
#define TOP(name_, verdict_, harmless_, clients_, text_)                                                      \
        { .name = (name_), .is_top = true, .verdict = (verdict_), .harmless = (harmless_), .clients = (clients_), \
          .text = (text_) }

#define TOOLS "would offer tools that it holds back; envmux filters no tools: remove the key if all may be called, " \
              "or restrict the server itself by its own arguments"
#define UNCONFINED "would run the server unconfined; envmux does not confine servers yet: remove the key if the " \
                   "server may do what your user may do"
#define APPROVAL "approving calls is the client's business"
#define REMOTE "belongs to a server reached by URL"
#define FOR_PEOPLE "describes the server to people"

const struct config_foreign config_foreigns[] = {
        /* restrictions: not to be dropped in silence */
        REFUSED("excludeTools", HARMLESS_EMPTY, "Gemini CLI", TOOLS),
        REFUSED("includeTools", HARMLESS_STAR, "Gemini CLI", TOOLS),
        REFUSED("disabledTools", HARMLESS_EMPTY, "Windsurf, Kiro, Roo Code", TOOLS),
        REFUSED("disabled_tools", HARMLESS_EMPTY, "Codex", TOOLS),
        REFUSED("enabledTools", HARMLESS_STAR, "Amp and others", TOOLS),
        REFUSED("enabled_tools", HARMLESS_STAR, "Codex", TOOLS),
        REFUSED("allowedTools", HARMLESS_STAR, "several clients", TOOLS),
        REFUSED("tools", HARMLESS_STAR, "GitHub Copilot", TOOLS),
        REFUSED("sandbox", HARMLESS_EMPTY, "VS Code", UNCONFINED),
        REFUSED("sandboxEnabled", HARMLESS_EMPTY, "VS Code", UNCONFINED),
        REFUSED("permissions", HARMLESS_EMPTY, "several clients", UNCONFINED),

        /* about the client, not about the server */
        ENTRY("alwaysAllow", FOREIGN_NOTE, "Cline, Roo Code", APPROVAL),
        ENTRY("autoApprove", FOREIGN_NOTE, "Cline, Kiro", APPROVAL),
        ENTRY("trust", FOREIGN_NOTE, "Gemini CLI", APPROVAL),
        ENTRY("timeout", FOREIGN_NOTE, "Cline (seconds), Gemini CLI and Claude Code (milliseconds)",
              "clients disagree about its unit: write \"envmux\": {\"request_timeout\": \"10min\"}"),
        ENTRY("startup_timeout_sec", FOREIGN_NOTE, "Codex", "write \"envmux\": {\"start_timeout\": \"2min\"}"),
        ENTRY("networkTimeout", FOREIGN_NOTE, "Cline", REMOTE),
        ENTRY("watchPaths", FOREIGN_NOTE, "Roo Code", "envmux restarts no session when files change"),
        ENTRY("dev", FOREIGN_NOTE, "VS Code", "envmux has no development mode"),
        ENTRY("alwaysLoad", FOREIGN_SILENT, "Claude Code", "loading tools is the client's business"),
        ENTRY("headers", FOREIGN_NOTE, "all clients", REMOTE),
        ENTRY("headersHelper", FOREIGN_NOTE, "Claude Code", REMOTE),
        ENTRY("oauth", FOREIGN_NOTE, "Claude Code, Gemini CLI", REMOTE),
        ENTRY("auth", FOREIGN_NOTE, "Cursor", REMOTE),
        ENTRY("authProviderType", FOREIGN_NOTE, "Gemini CLI", REMOTE),
        ENTRY("targetAudience", FOREIGN_NOTE, "Gemini CLI", REMOTE),
        ENTRY("targetServiceAccount", FOREIGN_NOTE, "Gemini CLI", REMOTE),
        ENTRY("description", FOREIGN_SILENT, "Gemini CLI and others", FOR_PEOPLE),
        ENTRY("name", FOREIGN_SILENT, "several clients", FOR_PEOPLE),
        ENTRY("title", FOREIGN_SILENT, "several clients", FOR_PEOPLE),
        ENTRY("icon", FOREIGN_SILENT, "several clients", FOR_PEOPLE),
        ENTRY("version", FOREIGN_SILENT, "VS Code", FOR_PEOPLE),
        ENTRY("gallery", FOREIGN_SILENT, "VS Code", "says where the entry came from"),
        ENTRY("extension", FOREIGN_SILENT, "Gemini CLI", "says where the entry came from"),
        ENTRY("settings", FOREIGN_NOTE, "Zed", "is for servers that come as an extension of Zed"),

        /* at the top of the file */
        TOP("$schema", FOREIGN_SILENT, HARMLESS_NEVER, "all editors", "names the JSON Schema of the file"),
        TOP("inputs", FOREIGN_NOTE, HARMLESS_NEVER, "VS Code", "there is nobody to ask: put each value into the "
            "environment and write ${env:NAME} in the place of ${input:…}"),
        TOP("sandbox", FOREIGN_REFUSED, HARMLESS_EMPTY, "VS Code", "would run the servers unconfined; envmux does not "
            "confine servers yet: remove the key if they may do what your user may do"),
        TOP("mcp", FOREIGN_REFUSED, HARMLESS_EMPTY, "VS Code, Gemini CLI", "is not read: move its servers to "
            "\"mcpServers\" at the top, and give those that it excludes \"disabled\": true"),
        {},
};

const struct config_foreign *config_foreign_find(bool is_top, const char *name)
{
        for (const struct config_foreign *foreign = config_foreigns; foreign->name; foreign++)
                if (foreign->is_top == is_top && streq(foreign->name, name))
                        return foreign;
        return NULL;
}

static bool is_empty(struct json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_null:
                return true;
        case json_type_boolean:
                return !json_object_get_boolean(value);
        case json_type_array:
                return json_object_array_length(value) == 0;
        case json_type_object:
                return json_object_object_length(value) == 0;
        default:
                return false;
        }
}

static bool is_star(struct json_object *value)
{
        if (json_object_is_type(value, json_type_array) && json_object_array_length(value) == 1)
                value = json_object_array_get_idx(value, 0);
        return json_object_is_type(value, json_type_null) ||
               (json_object_is_type(value, json_type_string) && streq(json_object_get_string(value), "*"));
}

static bool is_harmless(enum config_harmless harmless, struct json_object *value)
{
        return (harmless == HARMLESS_EMPTY && is_empty(value)) || (harmless == HARMLESS_STAR && is_star(value));
}

void config_foreign_judge(bool is_top, const struct config_at *at, const char *name, struct json_object *value,
                          const char *const *known)
{
        const struct config_foreign *foreign = config_foreign_find(is_top, name);
        const char *meant = foreign ? NULL : config_report_suggest(name, known);

        if (meant)
                config_report_mistake(at, "unknown key (did you mean \"%s\"?)", meant);
        else if (!foreign)
                config_report_note(at, "ignored: no key that envmux knows");
        else if (foreign->verdict == FOREIGN_NOTE)
                config_report_note(at, "ignored: %s", foreign->text);
        else if (foreign->verdict == FOREIGN_REFUSED && !is_harmless(foreign->harmless, value))
                config_report_mistake(at, "%s", foreign->text);
}
