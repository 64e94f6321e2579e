/* `envmux call SERVER[/KEY] TOOL [name=value…]`: one tool call from the shell, as a client makes it. */
#include "ctl/call_print.h"
#include "ctl/call_values.h"
#include "ctl/client.h"
#include "ctl/fields.h"
#include "ctl/mcp.h"

#include <json-c/json.h>
#include <stdio.h>

#define TIMEOUT_SECONDS "600"
#define PAGES_MAX 100 /* of a tool list */

/* ---- where the server is ----------------------------------------------------------------------- */

/* Appends key as one path segment. */
static void write_segment(struct json_writer *writer, const char *key)
{
        for (; *key; key++) {
                bool is_plain = (*key >= 'a' && *key <= 'z') || (*key >= 'A' && *key <= 'Z') ||
                                (*key >= '0' && *key <= '9') || strchr("-._~", *key);

                if (is_plain)
                        json_writer_raw(writer, key, 1);
                else
                        json_writer_format(writer, "%%%02X", (unsigned char) *key);
        }
}

/* The URL of a server, or of one session of it, from what Servers answered. */
static int make_url(struct json_object *servers_answer, const char *server, const char *key, char **ret)
{
        size_t n_addresses, n_servers;
        struct json_object *addresses = field_array(servers_answer, "addresses", &n_addresses);
        struct json_object *servers = field_array(servers_answer, "servers", &n_servers);
        struct json_writer url = { .data = NULL };
        const char *path = NULL;

        for (size_t i = 0; !path && i < n_servers; i++) {
                struct json_object *entry = json_object_array_get_idx(servers, i);
                const char *name = field_string(entry, "name");

                if (name && streq(name, server))
                        path = field_string(entry, "path");
        }
        if (!path)
                return ctl_fail("no server is named \"%s\"; `envmux servers` lists them", server);
        if (n_addresses == 0)
                return ctl_fail("the daemon listens on no address that can be connected to; give --url");
        json_writer_text(&url, json_object_get_string(json_object_array_get_idx(addresses, 0)));
        if (key) {
                json_writer_format(&url, "/%s/s/", server);
                write_segment(&url, key);
                json_writer_text(&url, "/mcp");
        } else {
                json_writer_text(&url, path);
        }
        return json_writer_finish(&url, ret, NULL) < 0 ? ctl_fail("out of memory") : CTL_OK;
}

static int find_url(const char *control, const char *where, char **ret)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
        _cleanup_free_ char *server = strdup(where);
        struct varlink_answer answer;
        char *slash;
        int status;

        if (!server)
                return ctl_fail("out of memory");
        slash = strchr(server, '/');
        if (slash)
                *slash = '\0';
        if (slash && (slash[1] == '\0' || strlen(slash + 1) >= IPC_KEY_SIZE))
                return ctl_fail("a session key has 1 to %d characters", IPC_KEY_SIZE - 8);
        status = client_ask(control, "Servers", NULL, &client, &answer);
        return status == CTL_OK ? make_url(answer.parameters, server, slash ? slash + 1 : NULL, ret) : status;
}

/* ---- tools ------------------------------------------------------------------------------------- */

/* What a page of tools/list is looked through for. */
struct tools {
        const char *wanted;        /* NULL: print all */
        bool json;
        unsigned n_printed;
        struct mcp_answer page;    /* the one that schema points into */
        struct json_slice schema;  /* of the wanted tool; size 0: not found yet */
        bool is_found;
};

static void take_tool(struct tools *tools, struct json_slice tool)
{
        struct json_slice name;

        if (tools->wanted) {
                if (!tools->is_found && json_get(tool, "name", &name) >= 0 && json_string_is(name, tools->wanted)) {
                        tools->is_found = true;
                        (void) json_get(tool, "inputSchema", &tools->schema);
                }
                return;
        }
        if (tools->json)
                printf("%s%.*s", tools->n_printed ? "," : "", (int) tool.size, tool.data);
        else
                call_print_tool(tool);
        tools->n_printed++;
}

/* Walks the pages of tools/list until there are no more, or the wanted tool was found. */
static int walk_tools(struct mcp *mcp, struct tools *tools)
{
        struct json_slice list, tool, next = { .size = 0 };

        for (unsigned page = 0; page < PAGES_MAX; page++) {
                struct json_writer params = { .data = NULL };
                struct mcp_answer answer = { .text = NULL };
                size_t cursor = 0;
                int status;

                json_writer_text(&params, "{");
                if (next.size > 0) {
                        json_writer_text(&params, "\"cursor\":");
                        json_writer_raw(&params, next.data, next.size);
                }
                json_writer_text(&params, "}");
                status = mcp_request(mcp, "tools/list", &params, &answer);
                mcp_answer_done(&tools->page);
                tools->page = answer;
                if (status != CTL_OK)
                        return status;
                if (answer.error.size > 0)
                        return mcp_explain(answer.error);
                if (json_get(answer.result, "tools", &list) >= 0)
                        while (json_next(list, &cursor, NULL, &tool) > 0)
                                take_tool(tools, tool);
                if (tools->is_found || json_get(answer.result, "nextCursor", &next) < 0 ||
                    json_slice_type(next) != JSON_STRING)
                        return CTL_OK;
        }
        return ctl_fail("the server's list of tools has more than %d pages", PAGES_MAX);
}

static int list_tools(struct mcp *mcp, bool json)
{
        struct tools tools = { .json = json };
        int status;

        fputs(json ? "[" : "", stdout);
        status = walk_tools(mcp, &tools);
        fputs(json ? "]\n" : "", stdout);
        mcp_answer_done(&tools.page);
        return status;
}

/* ---- the call ---------------------------------------------------------------------------------- */

static int print_answer(const struct mcp_answer *answer, bool json)
{
        struct json_slice is_error;
        bool failed = answer->error.size > 0 ||
                      (json_get(answer->result, "isError", &is_error) >= 0 && is_error.data[0] == 't');

        if (json)
                printf("%.*s\n", (int) (answer->error.size ? answer->error.size : answer->result.size),
                       answer->error.size ? answer->error.data : answer->result.data);
        else if (answer->error.size > 0)
                return mcp_explain(answer->error);
        else
                call_print_result(failed ? stderr : stdout, answer->result);
        return failed ? CTL_FAILED : CTL_OK;
}

static int call_tool(struct mcp *mcp, const char *tool, char *const *words, int n_words, bool json)
{
        struct tools tools = { .wanted = tool };
        struct json_writer params = { .data = NULL };
        struct mcp_answer answer;
        int status = n_words > 0 ? walk_tools(mcp, &tools) : CTL_OK;

        if (status == CTL_OK) {
                json_writer_text(&params, "{\"name\":");
                json_writer_string(&params, tool);
                json_writer_text(&params, ",\"arguments\":");
                status = call_values_write(words, n_words, tools.schema, &params);
                json_writer_text(&params, "}");
        }
        mcp_answer_done(&tools.page);
        if (status == CTL_OK)
                status = mcp_request(mcp, "tools/call", &params, &answer);
        else
                json_writer_done(&params);
        if (status != CTL_OK)
                return status;
        status = print_answer(&answer, json);
        mcp_answer_done(&answer);
        return status;
}

static int converse(struct mcp *mcp, bool is_kept, char *const *words, int n_words, bool json)
{
        int status = mcp_open(mcp);

        if (status == CTL_OK)
                status = n_words == 0 ? list_tools(mcp, json)
                                      : call_tool(mcp, words[0], words + 1, n_words - 1, json);
        if (!is_kept)
                mcp_close(mcp);
        return status;
}

static int run(const struct command *self, int argc, char **argv)
{
        const char *control = NULL, *url_text = NULL, *timeout = TIMEOUT_SECONDS;
        _cleanup_free_ char *url = NULL;
        struct mcp mcp = { .last_id = 0 };
        bool json = false, is_kept;
        unsigned long seconds;
        char *end;
        int first, r;

        const struct option_spec options[] = {
                { .letter = 'u', .name = "url", .value_name = "URL",
                  .help = "MCP endpoint to use; SERVER is then left out", .value = &url_text },
                { .letter = 't', .name = "timeout", .value_name = "SECONDS",
                  .help = "longest wait for one answer (" TIMEOUT_SECONDS ")", .value = &timeout },
                OPTION_JSON(&json),
                OPTION_CONTROL(&control),
        };

        r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);
        if (r != 0)
                return options_exit(r);
        seconds = strtoul(timeout, &end, 10);
        if (*end || seconds == 0 || seconds > UINT32_MAX)
                return usage_error(self, "\"%s\" is no number of seconds", timeout);
        if (!url_text && first == argc)
                return usage_error(self, "name a server; `envmux servers` lists them");

        is_kept = !url_text && strchr(argv[first], '/');
        if (!url_text) {
                r = find_url(control, argv[first++], &url);
                if (r != CTL_OK)
                        return r;
        }
        if (mcp_endpoint_parse(url_text ? url_text : url, &mcp.endpoint) < 0)
                return usage_error(self, "cannot use the URL %s: it must be http://ADDRESS[:PORT]/PATH with a numeric "
                                         "address or localhost", url_text ? url_text : url);
        mcp.timeout_usec = seconds * USEC_PER_SEC;
        r = converse(&mcp, is_kept, argv + first, argc - first, json);
        mcp_done(&mcp);
        return r;
}

const struct command command_call = {
        .name = "call",
        .synopsis = "[--json] SERVER[/KEY] [TOOL [NAME=VALUE…]]",
        .summary = "Call a tool of a server, or list its tools",
        .details = "With /KEY the session of that name is used, made when there is none, and kept; without,\n"
                   "a session is made for this call and ended after it. A VALUE is JSON where it can be read\n"
                   "as JSON, else a string; what the tool declares about an argument comes first. Prints the\n"
                   "text of the result; exits with 1 when the tool says that it failed.",
        .run = run,
};
