#include "examples/frozen-lake/lake_mcp.h"

#include "common/identity.h"

#include <config.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void write_position(struct json_writer *w, const struct lake_game *game)
{
        char grid[LAKE_TEXT_SIZE];

        lake_map_text(&game->map, grid);
        json_writer_format(w, "\"position\":%u,\"grid\":", game->position);
        json_writer_string(w, grid);
}

static void write_initial_state(struct json_writer *w, const struct lake_game *game)
{
        struct lake_game start = *game;

        start.position = 0;
        json_writer_text(w, "{");
        write_position(w, &start);
        json_writer_text(w, "}");
}

static void write_reward(struct json_writer *w, const struct lake_game *game)
{
        json_writer_format(w, "{\"reward\":%.1f,\"step_count\":%u}", game->reward, game->steps);
}

static void write_status(struct json_writer *w, const struct lake_game *game)
{
        json_writer_format(w, "{\"terminated\":%s,\"truncated\":%s,\"step_count\":%u,\"total_reward\":%.1f}",
                           game->terminated ? "true" : "false", game->truncated ? "true" : "false", game->steps,
                           game->total_reward);
}

static void write_info(struct json_writer *w, const struct lake_game *game)
{
        json_writer_format(w, "{\"prob\":1.0,\"seed\":%" PRIu64 ",\"size\":%u}", game->seed, game->map.size);
}

static const struct resource {
        const char *uri, *name, *description;
        void (*write)(struct json_writer *w, const struct lake_game *game);
} resources[] = {
        { "game://initial_state", "initial_state", "Where the episode began: position and grid", write_initial_state },
        { "control://reward", "reward", "What the last move earned", write_reward },
        { "control://status", "status", "Whether the episode is over, and what it earned in all", write_status },
        { "control://info", "info", "How the lake was made", write_info },
};

#define OBSERVATION_PROPERTIES \
        "\"position\":{\"type\":\"integer\"},\"grid\":{\"type\":\"string\"},\"action\":{\"type\":\"string\"}"

static int tools_list(void *userdata, struct json_slice params, struct json_writer *result, struct mcp_error *ret_error)
{
        json_writer_text(result,
                "{\"tools\":[{\"name\":\"lake_move\",\"title\":\"Move on the lake\","
                "\"description\":\"Take one step on the frozen lake. S is the start, F is safe ice, H is a hole,"
                " G is the goal. "
                "position counts the cells row by row from 0.\","
                "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"action\":{\"type\":\"string\","
                "\"enum\":[\"LEFT\",\"DOWN\",\"RIGHT\",\"UP\"],\"description\":\"Where to step\"}},"
                "\"required\":[\"action\"]},"
                "\"outputSchema\":{\"type\":\"object\",\"properties\":{" OBSERVATION_PROPERTIES "},"
                "\"required\":[\"position\",\"grid\",\"action\"]}}]}");
        return 0;
}

/* A tool that failed is a result, so that the model which called it can read why. */
static _printf_(2, 3) int tool_failed(struct json_writer *result, const char *format, ...)
{
        char why[256];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(why, sizeof(why), format, ap);
        va_end(ap);
        json_writer_text(result, "{\"content\":[{\"type\":\"text\",\"text\":");
        json_writer_string(result, why);
        json_writer_text(result, "}],\"isError\":true}");
        return 0;
}

static int lake_move(struct lake_mcp *lake, struct json_slice arguments, struct json_writer *result)
{
        _cleanup_json_writer_ struct json_writer seen = { .failed = false };
        enum lake_action action = LAKE_ACTION__INVALID;
        struct json_slice value;
        char word[32] = "";

        if (json_get(arguments, "action", &value) >= 0 && json_string_copy(value, word, sizeof(word)) > 0)
                action = lake_action_from_string(word);
        if (action < 0)
                return tool_failed(result, "Invalid action '%s': use LEFT, DOWN, RIGHT or UP", word);
        lake_game_move(&lake->game, action);
        json_writer_text(&seen, "{");
        write_position(&seen, &lake->game);
        json_writer_format(&seen, ",\"action\":\"%s\"}", lake_action_to_string(action));
        json_writer_text(result, "{\"content\":[{\"type\":\"text\",\"text\":");
        json_writer_string_n(result, seen.data, seen.size);
        json_writer_text(result, "}],\"structuredContent\":");
        json_writer_raw(result, seen.data, seen.size);
        json_writer_text(result, ",\"isError\":false}");
        result->failed |= seen.failed;
        return 0;
}

static int tools_call(void *userdata, struct json_slice params, struct json_writer *result, struct mcp_error *ret_error)
{
        struct json_slice name, arguments = { .size = 0 };
        char word[64] = "";

        if (json_get(params, "name", &name) < 0 || json_slice_type(name) != JSON_STRING)
                return mcp_error_set(ret_error, MCP_INVALID_PARAMS, "tools/call needs the name of a tool");
        (void) json_get(params, "arguments", &arguments);
        if (json_string_is(name, "lake_move"))
                return lake_move(userdata, arguments, result);
        (void) json_string_copy(name, word, sizeof(word));
        return tool_failed(result, "Unknown tool: %s", word);
}

static int resources_list(void *userdata, struct json_slice params, struct json_writer *result,
                          struct mcp_error *ret_error)
{
        json_writer_text(result, "{\"resources\":[");
        for (size_t i = 0; i < ELEMENTSOF(resources); i++)
                json_writer_format(result, "%s{\"uri\":\"%s\",\"name\":\"%s\",\"description\":\"%s\","
                                           "\"mimeType\":\"application/json\"}",
                                   i > 0 ? "," : "", resources[i].uri, resources[i].name, resources[i].description);
        json_writer_text(result, "]}");
        return 0;
}

static int resources_templates_list(void *userdata, struct json_slice params, struct json_writer *result,
                                    struct mcp_error *ret_error)
{
        json_writer_text(result, "{\"resourceTemplates\":[]}");
        return 0;
}

static int resources_read(void *userdata, struct json_slice params, struct json_writer *result,
                          struct mcp_error *ret_error)
{
        _cleanup_json_writer_ struct json_writer text = { .failed = false };
        const struct resource *resource = NULL;
        struct lake_mcp *lake = userdata;
        struct json_slice uri;
        char word[128] = "";

        if (json_get(params, "uri", &uri) < 0 || json_slice_type(uri) != JSON_STRING)
                return mcp_error_set(ret_error, MCP_INVALID_PARAMS, "resources/read needs a uri");
        for (size_t i = 0; i < ELEMENTSOF(resources) && !resource; i++)
                if (json_string_is(uri, resources[i].uri))
                        resource = &resources[i];
        if (!resource) {
                (void) json_string_copy(uri, word, sizeof(word));
                return mcp_error_set(ret_error, MCP_RESOURCE_NOT_FOUND, "Resource not found: %s", word);
        }
        resource->write(&text, &lake->game);
        json_writer_format(result, "{\"contents\":[{\"uri\":\"%s\",\"mimeType\":\"application/json\",\"text\":",
                           resource->uri);
        json_writer_string_n(result, text.data, text.size);
        json_writer_text(result, "}]}");
        result->failed |= text.failed;
        return 0;
}

/* The client's own wishes (params.clientInfo._extra) fill in what the command line left open. */
static int on_initialize(void *userdata, struct json_slice params, struct mcp_error *ret_error)
{
        struct lake_mcp *lake = userdata;
        struct json_slice client, size;
        int64_t n;

        if (json_get(params, "clientInfo", &client) >= 0) {
                if (!lake->has_seed && identity_seed(client, &n) >= 0) {
                        if (n < 0)
                                return mcp_error_set(ret_error, MCP_INVALID_PARAMS, "The seed must not be negative");
                        lake->seed = (uint64_t) n;
                }
                if (!lake->has_size && json_get_path(client, &size, "_extra", "config", "size", NULL) >= 0 &&
                    json_integer(size, &n) >= 0) {
                        if (n < LAKE_SIZE_MIN || n > LAKE_SIZE_MAX)
                                return mcp_error_set(ret_error, MCP_INVALID_PARAMS, "The size must be %d to %d",
                                                     LAKE_SIZE_MIN, LAKE_SIZE_MAX);
                        lake->size = (unsigned) n;
                }
        }
        lake_game_init(&lake->game, lake->size, lake->seed);
        return 0;
}

static const struct mcp_method methods[] = {
        { "tools/list", tools_list },
        { "tools/call", tools_call },
        { "resources/list", resources_list },
        { "resources/templates/list", resources_templates_list },
        { "resources/read", resources_read },
        { NULL, NULL },
};

struct mcp_server lake_mcp_server(struct lake_mcp *lake)
{
        return (struct mcp_server) {
                .name = "frozen-lake",
                .version = PACKAGE_VERSION,
                .capabilities = "{\"tools\":{},\"resources\":{}}",
                .methods = methods,
                .on_initialize = on_initialize,
                .userdata = lake,
        };
}
