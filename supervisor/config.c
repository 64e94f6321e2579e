#include "supervisor/config.h"

#include "supervisor/config_file.h"
#include "supervisor/config_foreign.h"
#include "supervisor/config_schema.h"
#include "supervisor/config_server.h"
#include "supervisor/config_server_check.h"
#include "supervisor/config_sources.h"
#include "supervisor/config_texts.h"
#include "supervisor/config_value.h"

#include <json-c/json.h>

#define SERVERS_MAX 1000

/* What holds the entries: Claude Desktop and most others, VS Code, Zed. */
static const char *const map_names[] = { "mcpServers", "servers", "context_servers", NULL };

/* Names at the top that are acted on, for suggestions. */
static const char *const top_names[] = { "mcpServers", "servers", "context_servers", "envmux", NULL };

struct loading {
        struct config *config;
        struct server_config inherited; /* what the top sets for every entry */
        struct config_sources sources;
        const struct config_source *source; /* the one that is being read */
        struct config_at top;
};

static bool is_among(const char *name, const char *const *names)
{
        for (; *names; names++)
                if (streq(name, *names))
                        return true;
        return false;
}

static int append_server(struct config *config, struct server_config *server_consume)
{
        struct server_config **bigger = reallocarray(config->servers, config->n_servers + 1, sizeof(*bigger));

        if (!bigger) {
                config_server_free(server_consume);
                return -ENOMEM;
        }
        config->servers = bigger;
        config->servers[config->n_servers++] = server_consume;
        return 0;
}

static void enter(struct loading *l, size_t i)
{
        l->source = &l->sources.list[i];
        l->top.report->file = l->config->files[i];
}

static bool has_entry(const struct config_source *source, const char *name)
{
        struct json_object *map;

        for (const char *const *map_name = map_names; *map_name; map_name++)
                if (json_object_object_get_ex(source->root, *map_name, &map) &&
                    json_object_is_type(map, json_type_object) && json_object_object_get_ex(map, name, NULL))
                        return true;
        return false;
}

/* The last word on a name is that of the last file that has it; what it replaces is not read. */
static bool is_replaced(const struct loading *l, const char *name)
{
        for (const struct config_source *s = l->source + 1; s < l->sources.list + l->sources.n; s++)
                if (has_entry(s, name))
                        return true;
        return false;
}

static void note_replaced(const struct loading *l, const struct config_at *at, const char *name)
{
        for (const struct config_source *s = l->source; s > l->sources.list; s--)
                if (has_entry(s - 1, name)) {
                        config_report_note(at, "replaces the entry of %s", s[-1].path);
                        return;
                }
}

static int read_entry(struct loading *l, const struct config_at *map, const char *name, struct json_object *entry)
{
        struct config_at at = config_at_member(map, name);
        struct config_server_context context = {
                .config = l->config,
                .inherited = &l->inherited,
                .file = l->top.report->file,
                .folder = l->source->folder,
                .texts = l->config->texts,
        };
        struct server_config *server = NULL;

        if (is_replaced(l, name))
                return 0;
        note_replaced(l, &at, name);

        int r = config_server_read(&context, &at, name, entry, &server);

        if (r < 0 || !server)
                return r;
        if (l->config->n_servers == SERVERS_MAX) {
                config_report_mistake(&at, "more than %d servers", SERVERS_MAX);
                config_server_free(server);
                return 0;
        }
        if (config_find(l->config, name)) {
                config_report_mistake(&at, "there is another server of this name");
                config_server_free(server);
                return 0;
        }
        return append_server(l->config, server);
}

static int read_map(struct loading *l, const char *map_name, struct json_object *map)
{
        struct config_at at = config_at_member(&l->top, map_name);
        int r = 0;

        if (!config_value_is(&at, map, json_type_object, "an object"))
                return 0;

        json_object_object_foreach(map, name, entry) {
                if (r >= 0)
                        r = read_entry(l, &at, name, entry);
        }
        return r;
}

static bool has_map(const struct config_source *source)
{
        for (const char *const *name = map_names; *name; name++)
                if (json_object_object_get_ex(source->root, *name, NULL))
                        return true;
        return false;
}

/* True when the file itself looks like a map of entries that lacks its wrapping. */
static bool lacks_map(const struct config_source *source)
{
        if (has_map(source))
                return false;
        json_object_object_foreach(source->root, name, value) {
                (void) name;
                if (json_object_is_type(value, json_type_object) && json_object_object_get_ex(value, "command", NULL))
                        return true;
        }
        return false;
}

/* Every key at the top that is neither a map nor ours. */
static void judge_top(struct loading *l)
{
        json_object_object_foreach(l->source->root, name, value) {
                struct config_at at = config_at_member(&l->top, name);

                if (!is_among(name, top_names))
                        config_foreign_judge(true, &at, name, value, top_names);
        }
}

static int read_own_keys_of(struct loading *l)
{
        struct config_at at = config_at_member(&l->top, "envmux");
        struct json_object *own;

        if (!json_object_object_get_ex(l->source->root, "envmux", &own))
                return 0;

        int r = config_schema_read(CONFIG_TOP, &at, own, l->config, &l->inherited);

        if (r >= 0 && json_object_is_type(own, json_type_object) && json_object_object_get_ex(own, "user", NULL))
                config_server_check_user(&l->top, l->inherited.user, NULL);
        return r;
}

/* Our own keys come first, wherever they stand in the files: entries inherit from them. */
static int read_own_keys(struct loading *l)
{
        int r = config_schema_defaults(CONFIG_TOP, NULL, l->config);

        if (r >= 0)
                r = config_schema_defaults(CONFIG_SERVER, l->config, &l->inherited);
        for (size_t i = 0; r >= 0 && i < l->sources.n; i++) {
                enter(l, i);
                r = read_own_keys_of(l);
        }
        return r;
}

/* Every file is whole, and one at least says which servers there are. */
static void check_maps(struct loading *l)
{
        bool has_any = false;

        for (size_t i = 0; i < l->sources.n; i++) {
                enter(l, i);
                has_any = has_any || has_map(l->source) || lacks_map(l->source);
                if (lacks_map(l->source))
                        config_report_mistake(&l->top,
                                              "has no \"mcpServers\": wrap the servers as {\"mcpServers\": {…}}");
        }
        enter(l, 0);
        if (!has_any)
                config_report_mistake(&l->top, "has no \"mcpServers\" (or \"servers\")");
}

static int read_servers(struct loading *l)
{
        int r = 0;

        if (lacks_map(l->source))
                return 0;
        judge_top(l);

        json_object_object_foreach(l->source->root, name, value) {
                if (r >= 0 && is_among(name, map_names))
                        r = read_map(l, name, value);
        }
        return r;
}

static int read_all(struct loading *l)
{
        size_t n_mistakes = l->top.report->n_mistakes;
        int r = read_own_keys(l);

        if (r < 0)
                return r;
        check_maps(l);
        for (size_t i = 0; r >= 0 && i < l->sources.n; i++) {
                enter(l, i);
                r = read_servers(l);
        }
        enter(l, 0);
        if (r >= 0 && l->config->n_servers == 0 && l->top.report->n_mistakes == n_mistakes)
                config_report_mistake(&l->top, "no server is enabled that envmux could start");
        return r;
}

/* The configuration outlives what it was read from. */
static int name_files(struct loading *l)
{
        l->config->files = calloc(l->sources.n + 1, sizeof(char *));
        if (!l->config->files)
                return -ENOMEM;
        for (size_t i = 0; i < l->sources.n; i++) {
                l->config->files[i] = strdup(l->sources.list[i].path);
                if (!l->config->files[i])
                        return -ENOMEM;
        }
        return 0;
}

static void choose_default(struct config *config)
{
        config->default_server = config->n_servers == 1 ? config->servers[0] : config_find(config, "default");
}

/* What was found, once the files are there. */
static int evaluate(struct loading *l, int r)
{
        if (r >= 0)
                r = name_files(l);
        if (r >= 0)
                r = read_all(l);
        config_sources_done(&l->sources);
        config_schema_done(CONFIG_SERVER, &l->inherited);
        choose_default(l->config);
        return r;
}

int config_load(const char *path, const char *drop_ins, struct config **ret, struct config_report *report)
{
        _cleanup_(config_freep) struct config *config = calloc(1, sizeof(*config));
        struct loading l = { .config = config, .top = { .report = report } };
        size_t n_mistakes = report->n_mistakes;

        if (!config || config_texts_new(&config->texts) < 0)
                return -ENOMEM;

        int r = evaluate(&l, config_sources_read(config->texts, path, drop_ins, report, &l.sources));

        report->file = path;
        if (r < 0)
                return r;
        if (report->n_mistakes > n_mistakes)
                return -EINVAL;
        *ret = TAKE_PTR(config);
        return 0;
}

int config_load_texts(struct config_texts *texts_consume, struct config **ret, struct config_report *report)
{
        _cleanup_(config_freep) struct config *config = calloc(1, sizeof(*config));
        struct loading l = { .config = config, .top = { .report = report } };

        if (!config) {
                config_texts_free(texts_consume);
                return -ENOMEM;
        }
        config->texts = texts_consume;
        config->is_former = true;

        int r = evaluate(&l, config_sources_recall(config->texts, report, &l.sources));

        report->file = NULL;
        if (r < 0)
                return r;
        if (config->n_servers == 0)
                return -EINVAL;
        *ret = TAKE_PTR(config);
        return 0;
}

struct config *config_free(struct config *config)
{
        if (!config)
                return NULL;
        for (size_t i = 0; i < config->n_servers; i++)
                config_server_free(config->servers[i]);
        config_schema_done(CONFIG_TOP, config);
        free(config->servers);
        config_texts_free(config->texts);
        config_value_free_strings(config->files);
        free(config);
        return NULL;
}

bool config_may_create(const struct server_config *server, enum key_kind kind, const char *key)
{
        switch (kind) {
        case KEY_SHARED:
                if (streq(key, KEY_SHARED_MODERN))
                        return server->keyless == KEYLESS_SHARED;
                return streq(key, KEY_SHARED_LEGACY) && server->keys.kinds & 1u << KEY_SHARED;
        case KEY_REQUEST:
                return server->keyless == KEYLESS_PER_REQUEST;
        case KEY_HANDLE:
        case KEY_PROBE:
                return false;
        default:
                return server->keys.kinds & 1u << kind;
        }
}

const struct server_config *config_find(const struct config *config, const char *name)
{
        for (size_t i = 0; i < config->n_servers; i++)
                if (streq(config->servers[i]->name, name))
                        return config->servers[i];
        return NULL;
}
