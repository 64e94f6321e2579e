#include "supervisor/config_server.h"

#include "supervisor/config_command.h"
#include "supervisor/config_env.h"
#include "supervisor/config_foreign.h"
#include "supervisor/config_hash.h"
#include "supervisor/config_schema.h"
#include "supervisor/config_server_check.h"
#include "supervisor/config_text.h"

#include <stdio.h>
#include <sys/stat.h>

#include <json-c/json.h>

const struct config_entry_key config_entry_keys[] = {
        { "command", "{\"type\": \"string\", \"minLength\": 1, \"not\": {\"pattern\": \"(^|[^$])[$][{]envmux:\"}}",
          "the program: a path, or a name looked up in PATH and then among the servers that come with envmux" },
        { "args", "{\"type\": \"array\", \"items\": {\"type\": \"string\"}}", "its arguments" },
        { "env", "{\"type\": \"object\", \"additionalProperties\": {\"type\": [\"string\", \"number\"]}}",
          "variables added to the environment that envmux runs in" },
        { "envFile", "{\"type\": \"string\"}", "a file of NAME=VALUE lines; \"env\" wins over it" },
        { "cwd", "{\"type\": \"string\"}",
          "its working directory, relative to the configuration file; without it the session's private workspace" },
        { "type",
          "{\"enum\": [\"stdio\", \"local\", \"http\", \"sse\", \"streamable-http\", \"streamableHttp\", "
          "\"streamable_http\", \"ws\", \"websocket\"]}",
          "how clients reach it; anything but stdio and local means by URL" },
        { "transportType", "{\"type\": \"string\"}", "an older name of \"type\"" },
        { "source", "{\"type\": \"string\"}", "Zed's; \"custom\" is a server with a command" },
        { "disabled", "{\"type\": \"boolean\"}", "true: the entry is not read any further" },
        { "enabled", "{\"type\": \"boolean\"}", "false: the same" },
        { "url", "{\"type\": \"string\"}", "a server elsewhere; the entry is skipped, with a note" },
        { "serverUrl", "{\"type\": \"string\"}", "the same (Windsurf)" },
        { "httpUrl", "{\"type\": \"string\"}", "the same (Gemini CLI)" },
        { "tcp", "{\"type\": \"string\"}", "the same (Gemini CLI)" },
        { "envmux", NULL, "envmux's own keys" },
        {},
};

const char *const config_server_reserved_names[] = { ".", "..", "s", "mcp", "healthz", "readyz", "control",
                                                     ".well-known", NULL };

/* An entry while it is read. */
struct reading {
        const struct config_server_context *context;
        const struct config_at *at;
        struct json_object *entry;
        struct server_config *server;
        unsigned uses; /* what its texts refer to */
        struct config_text text;
};

static struct json_object *member(const struct reading *r, const char *name)
{
        struct json_object *value = NULL;

        return json_object_object_get_ex(r->entry, name, &value) ? value : NULL;
}

/* ---- what the entry is ---- */

static void check_name(const struct config_at *at, const char *name)
{
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

        if (!*name || strlen(name) > CONFIG_SERVER_NAME_MAX || name[strspn(name, plain)])
                config_report_mistake(at, "the name of a server must be 1 to %d letters, digits, '.', '_' and '-', "
                                      "since it becomes part of a URL", CONFIG_SERVER_NAME_MAX);
        for (const char *const *reserved = config_server_reserved_names; *reserved; reserved++)
                if (streq(name, *reserved))
                        config_report_mistake(at, "\"%s\" cannot be the name of a server: it means something else in "
                                              "URLs", name);
}

static bool is_disabled(const struct reading *r)
{
        bool disabled = false, enabled = true;
        struct json_object *value;

        if (json_object_object_get_ex(r->entry, "disabled", &value)) {
                struct config_at at = config_at_member(r->at, "disabled");

                config_value_bool(&at, value, &disabled);
        }
        if (json_object_object_get_ex(r->entry, "enabled", &value)) {
                struct config_at at = config_at_member(r->at, "enabled");

                config_value_bool(&at, value, &enabled);
        }
        return disabled || !enabled;
}

static void judge_keys(const struct reading *r)
{
        const char *known[ELEMENTSOF(config_entry_keys)] = {};

        for (size_t i = 0; config_entry_keys[i].name; i++)
                known[i] = config_entry_keys[i].name;

        json_object_object_foreach(r->entry, name, value) {
                struct config_at at = config_at_member(r->at, name);
                bool is_ours = false;

                for (size_t i = 0; known[i]; i++)
                        is_ours = is_ours || streq(known[i], name);
                if (!is_ours)
                        config_foreign_judge(false, &at, name, value, known);
        }
}

/* The word under a key, or NULL. */
static const char *word(const struct reading *r, const char *name)
{
        struct json_object *value = member(r, name);
        struct config_at at = config_at_member(r->at, name);

        return value ? config_value_text(&at, value) : NULL;
}

static bool is_one_of(const char *text, const char *const *words)
{
        for (; *words; words++)
                if (streq(text, *words))
                        return true;
        return false;
}

/* True when the entry's type means "reached by URL"; an unknown one is a mistake. */
static bool type_is_remote(const struct reading *r)
{
        static const char *const local[] = { "stdio", "local", NULL };
        static const char *const remote[] = { "http", "sse", "streamable-http", "streamableHttp", "streamable_http",
                                              "ws", "websocket", NULL };
        const char *name = member(r, "type") ? "type" : "transportType", *type = word(r, name);
        struct config_at at = config_at_member(r->at, name);

        if (!type || is_one_of(type, local))
                return false;
        if (is_one_of(type, remote))
                return true;
        config_report_mistake(&at, "must be \"stdio\", or \"http\" or \"sse\" for a server reached by URL");
        return false;
}

/* True when the entry has no backend for us to start: it is a server elsewhere. */
static bool is_remote(const struct reading *r, bool type_is_remote)
{
        static const char *const names[] = { "url", "serverUrl", "httpUrl", "tcp", NULL };

        for (const char *const *name = names; *name; name++) {
                struct config_at at = config_at_member(r->at, *name);

                if (!member(r, *name))
                        continue;
                if (type_is_remote || !member(r, "command")) {
                        config_report_note(r->at, "SKIPPED: it is reached by URL, and envmux serves only backends that "
                                                  "it starts itself");
                        return true;
                }
                config_report_note(&at, "ignored: the entry has a command");
        }
        return false;
}

/* ---- envmux's own keys ---- */

/* Texts of "prepare" are fixed before any session exists. */
static int compile_prepare(struct reading *r, const struct config_at *envmux)
{
        struct config_at at = config_at_member(envmux, "prepare");

        for (size_t i = 0; r->server->prepare && r->server->prepare[i]; i++) {
                struct config_at element = config_at_element(&at, i);
                char **text = &r->server->prepare[i], *compiled = NULL;
                int e = config_text_compile_fixed(&r->text, &element, *text, "has no value when prepare runs: it runs "
                                                  "once, before any session", &compiled);

                if (e >= 0 && compiled && i == 0 && strchr(compiled, '/'))
                        e = config_text_make_absolute(&r->text, &element, &compiled);
                if (e < 0) {
                        free(compiled);
                        return e;
                }
                if (compiled) { /* else a mistake was reported and the entry is dropped */
                        free(*text);
                        *text = compiled;
                }
        }
        return 0;
}

static int read_own_keys(struct reading *r)
{
        struct config_at at = config_at_member(r->at, "envmux");
        struct json_object *own;
        int e;

        if (!json_object_object_get_ex(r->entry, "envmux", &own))
                return 0;
        e = config_schema_read(CONFIG_SERVER, &at, own, r->server, NULL);
        if (e < 0)
                return e;
        if (r->server->transport == TRANSPORT_STDIO && json_object_object_get_ex(own, "http_path", NULL)) {
                struct config_at path = config_at_member(&at, "http_path");

                config_report_mistake(&path, "needs \"transport\": \"http\"");
        }
        return compile_prepare(r, &at);
}

/* ---- the command line ---- */

static int read_command(struct reading *r)
{
        struct config_at at = config_at_member(r->at, "command");
        struct json_object *value;
        const char *raw;
        int e;

        if (!json_object_object_get_ex(r->entry, "command", &value)) {
                config_report_mistake(r->at, "has neither \"command\" nor \"url\"");
                return 0;
        }
        if (json_object_is_type(value, json_type_object)) {
                config_report_mistake(&at, "must be a string, is an object (Zed's older form): write \"command\", "
                                           "\"args\" and \"env\" beside each other");
                return 0;
        }
        raw = config_value_text(&at, value);
        if (!raw)
                return 0;
        if (!*raw) {
                config_report_mistake(&at, "must not be empty");
                return 0;
        }
        e = config_text_compile_fixed(&r->text, &at, raw, "cannot be part of the command: what a client may choose "
                                                          "never decides which program runs; use it in \"args\" or "
                                                          "\"env\"", &r->server->command);
        if (e < 0 || !r->server->command)
                return e;
        if (!*r->server->command)
                config_report_mistake(&at, "is empty once its variables are put in");
        else if (strchr(r->server->command, '/') || *r->server->command == '~')
                return config_text_make_absolute(&r->text, &at, &r->server->command);
        return 0;
}

static int read_args(struct reading *r)
{
        static const char *const advice[] = {
                [SCRIPT_SHELL] = "a session's value must not become part of a shell script: write \"$1\" in the script "
                                 "and add two arguments behind it, \"sh\" and the value",
                [SCRIPT_CODE] = "a session's value must not become part of a program's text: add it as an argument "
                                "behind the text",
        };
        struct config_at at = config_at_member(r->at, "args");
        struct json_object *value;
        int e = 0;

        if (json_object_object_get_ex(r->entry, "args", &value))
                e = config_text_read_array(&r->text, &at, value, &r->server->args);
        else if (!(r->server->args = calloc(1, sizeof(char *))))
                e = -ENOMEM;
        if (e < 0 || !r->server->args || !r->server->command)
                return e;
        for (size_t i = 0; r->server->args[i]; i++) {
                struct config_at element = config_at_element(&at, i);
                enum config_script kind = config_command_script(r->server->command, r->server->args, i);

                if (kind != SCRIPT_NONE && template_uses(r->server->args[i]))
                        config_report_mistake(&element, "%s", advice[kind]);
        }
        return 0;
}

static int read_cwd(struct reading *r)
{
        struct config_at at = config_at_member(r->at, "cwd");
        struct json_object *value;
        struct stat st;
        int e;

        if (!json_object_object_get_ex(r->entry, "cwd", &value))
                return 0;
        e = config_text_read(&r->text, &at, value, &r->server->cwd);
        if (e < 0 || !r->server->cwd)
                return e;
        e = config_text_make_absolute(&r->text, &at, &r->server->cwd);
        if (e < 0 || !r->server->cwd)
                return e;
        if (!template_uses(r->server->cwd) && (stat(r->server->cwd, &st) < 0 || !S_ISDIR(st.st_mode)))
                config_report_note(&at, "%s is not a folder; the backend cannot start while that is so",
                                   r->server->cwd);
        return 0;
}

/* ---- all of it ---- */

static int read_parts(struct reading *r)
{
        struct config_report *report = r->at->report;
        size_t n_mistakes = report->n_mistakes;
        int e = read_own_keys(r);
        bool own_is_good = report->n_mistakes == n_mistakes;

        /* what a mistaken "transport" would have allowed is not known: do not add to the mistake */
        r->text.may_listen = !own_is_good || r->server->transport == TRANSPORT_HTTP;
        if (e >= 0)
                e = read_command(r);
        if (e >= 0)
                e = read_args(r);
        if (e >= 0)
                e = read_cwd(r);
        if (e >= 0)
                e = config_env_read(&r->text, r->at, member(r, "env"), member(r, "envFile"), &r->server->env);
        if (e >= 0 && own_is_good) {
                config_server_check_buffers(r->at, r->server);
                config_server_check_keys(r->at, r->server);
                config_server_check_user(r->at, r->server->user, r->context->inherited->user);
        }
        if (e >= 0 && report->n_mistakes == n_mistakes)
                config_server_check_listening(r->at, r->server, r->uses);
        if (e >= 0 && report->n_mistakes == n_mistakes)
                e = config_server_check_files(r->at, r->server, r->context->folder);
        return e;
}

static int server_new(const struct config_server_context *context, const char *name, struct server_config **ret)
{
        _cleanup_(config_server_freep) struct server_config *server = calloc(1, sizeof(*server));

        if (!server || !(server->name = strdup(name)))
                return -ENOMEM;
        server->file = context->file;

        int r = config_schema_defaults(CONFIG_SERVER, context->config, server);

        if (r < 0)
                return r;
        r = config_schema_inherit(context->inherited, server);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(server);
        return 0;
}

int config_server_read(const struct config_server_context *context, const struct config_at *at, const char *name,
                       struct json_object *entry, struct server_config **ret)
{
        _cleanup_(config_server_freep) struct server_config *server = NULL;
        struct reading r = { .context = context, .at = at, .entry = entry };
        size_t n_mistakes = at->report->n_mistakes;
        int e;

        check_name(at, name);
        if (!config_value_is(at, entry, json_type_object, "an object") || is_disabled(&r))
                return 0;

        bool wants_url = type_is_remote(&r);

        if (is_remote(&r, wants_url))
                return 0;
        judge_keys(&r);
        e = server_new(context, name, &server);
        if (e < 0)
                return e;
        r.server = server;
        r.text = (struct config_text) { .texts = context->texts, .folder = context->folder, .uses = &r.uses };
        e = read_parts(&r);
        if (e < 0)
                return e;
        if (wants_url && server->command && server->transport == TRANSPORT_STDIO)
                config_report_mistake(at, "its type is that of a server reached by URL, but it has a command: remove "
                                          "\"type\", or write \"envmux\": {\"transport\": \"http\"} if the command "
                                          "starts an HTTP server");
        if (at->report->n_mistakes > n_mistakes)
                return 0;
        e = config_hash_definition(server);
        if (e < 0)
                return e;
        *ret = TAKE_PTR(server);
        return 0;
}

struct server_config *config_server_free(struct server_config *server)
{
        if (!server)
                return NULL;
        config_schema_done(CONFIG_SERVER, server);
        free(server->name);
        free(server->command);
        config_value_free_strings(server->args);
        config_value_free_strings(server->env);
        free(server->cwd);
        free(server->definition_hash);
        free(server);
        return NULL;
}
