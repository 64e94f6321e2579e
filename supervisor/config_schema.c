#include "supervisor/config_schema.h"

#include "supervisor/config_value.h"

#include <unistd.h>

#include <json-c/json.h>

#define DAY (24 * USEC_PER_HOUR)
#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static uint64_t count_cores(const struct config *config)
{
        long n = sysconf(_SC_NPROCESSORS_ONLN);

        return n < 1 ? 1 : MIN_OF((uint64_t) n, (uint64_t) 256);
}

static uint64_t count_starting(const struct config *config)
{
        return MAX_OF(2 * count_cores(config), (uint64_t) 4);
}

static uint64_t all_sessions(const struct config *config)
{
        return config->sessions_max;
}

static uint64_t default_keys(const struct config *config)
{
        return 1u << KEY_NAMED | 1u << KEY_TRANSPORT;
}

static const char *const transport_words[] = { "stdio", "http", NULL }; /* enum transport */
static const char *const era_words[] = { "auto", "legacy", "modern", NULL }; /* enum backend_era */
static const char *const attach_words[] = { "join", "replace", "reject", NULL }; /* enum attach_policy */
static const char *const keyless_words[] = { "shared", "per-request", "reject", NULL }; /* enum keyless_policy */
static const char *const on_idle_words[] = { "end", "revive", NULL }; /* enum idle_policy */
static const char *const keys_words[] = { "path", "header", "transport", "client", "principal", "meta:NAME", NULL };

#define FIELD(type, field) .offset = offsetof(struct type, field), .width = sizeof(((struct type *) NULL)->field)
#define TOP(field) .places = CONFIG_TOP, FIELD(config, field)
#define SERVER(field) .places = CONFIG_SERVER, FIELD(server_config, field)
#define BOTH(field) .places = CONFIG_SERVER | CONFIG_DEFAULT, FIELD(server_config, field)
#define DURATION(low, high, text) .type = CONFIG_DURATION, .minimum = (low), .maximum = (high), .default_text = (text)
#define SIZE(low, high, text) .type = CONFIG_SIZE, .minimum = (low), .maximum = (high), .default_text = (text)
#define NO_LIMIT .type = CONFIG_LIMIT, .default_words = "none"
#define COUNT(low, high, text) .type = CONFIG_COUNT, .minimum = (low), .maximum = (high), .default_text = (text)

const struct config_key config_keys[] = {
        { "transport", SERVER(transport), .type = CONFIG_WORD, .words = transport_words, .default_text = "stdio",
          .why = "how the backend speaks MCP: over its stdin and stdout, or as an HTTP server of its own" },
        { "http_path", SERVER(http_path), .type = CONFIG_STRING, .default_text = "/mcp",
          .pattern = "^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$", .pattern_words = "a path such as \"/mcp\"",
          .why = "where an HTTP backend serves MCP; most serve it at /mcp" },
        { "prepare", SERVER(prepare), .type = CONFIG_STRINGS, .minimum = 1, .maximum = 1024, .default_words = "none",
          .why = "a command and its arguments, run once before the first start of this definition: "
                 "installing belongs here, not into every session's start" },
        { "keys", BOTH(keys), .type = CONFIG_KEYS, .minimum = 1, .words = keys_words, .default_number = default_keys,
          .default_words = "path, header, transport",
          .pattern = "^" CONFIG_KEYS_META "[!-~]{1,128}$",
          .pattern_words = "\"meta:\" and the name of an entry of _meta: 1 to 128 printable ASCII characters, no spaces",
          .why = "what may name a session; \"client\" lets equal clientInfo share one, \"meta:NAME\" takes an entry of "
                 "_meta that a client keeps, \"principal\" gives each user one session; "
                 "strangers can be equal, so these must be asked for" },
        { "keyless", BOTH(keyless), .type = CONFIG_WORD, .words = keyless_words, .default_text = "shared",
          .why = "what a stateless request (MCP 2026-07-28) gets that names no key: its user's one session, a session "
                 "of its own, or an error" },
        { "era", BOTH(era), .type = CONFIG_WORD, .words = era_words, .default_text = "auto",
          .why = "which revisions of MCP a stdio backend speaks: those that have initialize (legacy), or MCP "
                 "2026-07-28 too (modern); auto asks a disposable one before the first stateless request" },
        { "attach", BOTH(attach), .type = CONFIG_WORD, .words = attach_words, .default_text = "join",
          .why = "what a second initialize on a live key gets: the same backend with its state, a fresh one in its "
                 "place, or an error; a caller that repeats its key means its session" },
        { "max_sessions", SERVER(sessions_max), COUNT(1, 100000, NULL), .default_number = all_sessions,
          .default_words = "that of the top", .why = "live sessions of this server; keeps room for the others" },
        { "user", BOTH(user), .type = CONFIG_STRING, .default_words = "that of --backend-user",
          .pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$",
          .pattern_words = "the name or number of a user, \"dynamic\" or \"root\"",
          .why = "who its backends run as: a user of this machine, \"dynamic\" for a number of its own for each "
                 "session, so that none can touch what is another's, or \"root\", which must be said; "
                 "only a supervisor that runs as root can change users" },
        { "idle_timeout", BOTH(idle_usec), DURATION(10 * USEC_PER_MSEC, 365 * DAY, "30min"),
          .why = "a session without a request for so long ends, since most clients leave without a word; "
                 "an open event stream keeps nothing alive" },
        { "on_idle", BOTH(on_idle), .type = CONFIG_WORD, .words = on_idle_words, .default_text = "end",
          .why = "what such a session leaves: nothing, or its key and its clients, so that the next request gets a "
                 "fresh backend on which their handshake is repeated; what the old one had in memory is lost" },
        { "lifetime", BOTH(lifetime_usec), DURATION(100 * USEC_PER_MSEC, 365 * DAY, "24h"),
          .why = "a session ends at this age even in use, so that a leaking backend cannot live for ever" },
        { "start_timeout", BOTH(start_usec), DURATION(100 * USEC_PER_MSEC, USEC_PER_HOUR, "2min"),
          .why = "time from the start of a backend to its first answer; npx with an empty cache takes half a minute" },
        { "request_timeout", BOTH(request_usec), DURATION(100 * USEC_PER_MSEC, 7 * DAY, "10min"),
          .why = "a request not answered by then is cancelled at the backend and answered with an error" },
        { "stream_max", BOTH(connection_usec), DURATION(0, 7 * DAY, "0"),
          .why = "how long one connection carries an event stream that its client can resume: then it is closed and the "
                 "client asks again, which proxies and load balancers like better than connections without an end; "
                 "0: it stays open" },
        { "stream_retry", BOTH(retry_usec), DURATION(10 * USEC_PER_MSEC, 5 * USEC_PER_MINUTE, "1s"),
          .why = "how long a client waits before it comes back for such a stream; most clients try twice" },
        { "drain_timeout", BOTH(drain_usec), DURATION(0, 10 * USEC_PER_MINUTE, "10s"),
          .why = "how long requests in flight may go on when their session is stopped" },
        { "stop_timeout", BOTH(rung_usec), DURATION(10 * USEC_PER_MSEC, USEC_PER_MINUTE, "2s"),
          .why = "how long a backend may take to exit after its stdin was closed, and again after SIGTERM; "
                 "then everything left is killed" },
        { "message_max", BOTH(message_bytes_max), SIZE(4 * KIB, GIB, "16M"),
          .why = "the largest single message: a line of the backend's output, a request; room for embedded images" },
        { "buffer_max", BOTH(buffer_bytes_max), SIZE(64 * KIB, 4 * GIB, "64M"),
          .why = "all queues of one session together; when they are full the backend's output waits" },
        { "log_max", BOTH(log_bytes_max), SIZE(4 * KIB, 64 * MIB, "256K"),
          .why = "newest lines of the backend's stderr that are kept for `envmux logs`" },
        { "memory_max", BOTH(session_limits.of[LIMIT_MEMORY_MAX]), NO_LIMIT,
          .why = "memory of a session's backend with all its processes: beyond it the kernel kills them, and the session "
                 "alone ends; \"512M\", \"10%\" of the machine's, \"infinity\"" },
        { "tasks_max", BOTH(session_limits.of[LIMIT_TASKS_MAX]), NO_LIMIT,
          .why = "processes and threads of a session's backend: beyond it starting one fails; 64, \"10%\" of what the "
                 "machine allows, \"infinity\"" },
        { "cpu_quota", BOTH(session_limits.of[LIMIT_CPU_QUOTA]), NO_LIMIT,
          .why = "CPU time of a session's backend, of one CPU: \"50%\", \"200%\", \"infinity\"; beyond it it waits" },
        { "cpu_weight", BOTH(session_limits.of[LIMIT_CPU_WEIGHT]), NO_LIMIT,
          .why = "its share of a busy CPU beside the other sessions of its user: 1 to 10000 where others have 100, or "
                 "\"idle\" for what nobody else wants" },
        { "per_principal", BOTH(principal_limits), .type = CONFIG_LIMITS, .default_words = "none",
          .why = "the same four for all sessions that one user has of this server together" },
        { "per_server", BOTH(server_limits), .type = CONFIG_LIMITS, .default_words = "none",
          .why = "the same four for all sessions of this server together" },

        { "max_sessions", TOP(sessions_max), COUNT(1, 100000, "1000"),
          .why = "live sessions in all; each is at least two processes, and a machine has a last one" },
        { "max_starting", TOP(starting_max), COUNT(1, 1024, NULL), .default_number = count_starting,
          .default_words = "twice the cores, at least 4",
          .why = "backends that start at the same time; more would only make each other late" },
        { "queue", TOP(queue_max), COUNT(0, 100000, "1000"),
          .why = "sessions that may wait for room or for their turn to start; "
                 "beyond it the answer is an error at once" },
        { "queue_timeout", TOP(queue_usec), DURATION(0, USEC_PER_HOUR, "1min"),
          .why = "how long one may wait there; clients give up in their own time" },
        { "max_ended", TOP(tombstones_max), COUNT(0, 100000, "1000"),
          .why = "ended sessions of which it is remembered how they ended; as many others may be dormant" },
        { "dynamic_users", TOP(dynamic_users), .type = CONFIG_RANGE, .minimum = 65536, .maximum = 4294967293,
          .default_text = "1879048192-1879113727",
          .why = "the numbers that sessions of the user \"dynamic\" get, which must be nobody else's; "
                 "the first one is that of prepare commands" },
        { "routers", TOP(routers), COUNT(1, 256, NULL), .default_number = count_cores,
          .default_words = "one per core", .why = "router processes; each is one thread" },
        { "max_clients", TOP(clients_max), COUNT(1, 1000000, "4096"),
          .why = "open client connections of one router" },
        { "client_idle_timeout", TOP(client_idle_usec), DURATION(USEC_PER_SEC, DAY, "5min"),
          .why = "a client connection without a request for so long is closed" },
        { "body_max", TOP(body_bytes_max), SIZE(KIB, 16 * GIB, "64M"), .why = "the largest request body" },
        { "head_max", TOP(head_bytes_max), SIZE(4 * KIB, MIB, "32K"),
          .why = "the largest request head: its first line and all headers" },
        { "session_header", TOP(session_header), .type = CONFIG_STRING, .default_text = "Envmux-Session",
          .pattern = "^[A-Za-z][A-Za-z0-9-]{0,62}$", .pattern_words = "the name of a header: letters, digits and -",
          .why = "the request header by which a client chooses its session's key" },
        { "origins", TOP(origins), .type = CONFIG_STRINGS, .maximum = 256, .default_words = "none",
          .pattern = "^[a-z][a-z0-9+.-]*://[^/?#@ ]+$",
          .pattern_words = "an origin such as \"https://app.example.org\"",
          .why = "web pages, beyond those of this machine, that may send requests; "
                 "any other page in a browser could reach a server on this machine" },
        { "hosts", TOP(hosts), .type = CONFIG_STRINGS, .maximum = 256, .default_words = "none",
          .pattern = "^[^/?#@ ]+$", .pattern_words = "a host such as \"envmux.example.org\" or \"10.0.0.1:8700\"",
          .why = "names, beyond those of this machine, by which clients may call us; "
                 "others are refused, since a foreign name can be made to point here" },
        {},
};

/* True when key may be written at this place. */
static bool stands_at(const struct config_key *key, enum config_place place)
{
        return (key->places & place) || (place == CONFIG_TOP && (key->places & CONFIG_DEFAULT));
}

static void *field_of(const struct config_key *key, void *base)
{
        return (char *) base + key->offset;
}

const struct config_key *config_schema_find(enum config_place place, const char *name)
{
        for (const struct config_key *key = config_keys; key->name; key++)
                if (stands_at(key, place) && streq(key->name, name))
                        return key;
        return NULL;
}

int config_schema_defaults(enum config_place place, const struct config *config, void *base)
{
        for (const struct config_key *key = config_keys; key->name; key++) {
                int r = key->places & place ? config_value_default(key, config, field_of(key, base)) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

int config_schema_inherit(const struct server_config *from, struct server_config *to)
{
        for (const struct config_key *key = config_keys; key->name; key++) {
                int r = key->places & CONFIG_DEFAULT ? config_value_copy(key, (const char *) from + key->offset,
                                                                         field_of(key, to))
                                                     : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

void config_schema_done(enum config_place place, void *base)
{
        for (const struct config_key *key = config_keys; key->name; key++)
                if (key->places & place)
                        config_value_done(key, field_of(key, base));
}

/* Says that name is unknown here, and what may have been meant. */
static void refuse_name(enum config_place place, const struct config_at *at, const char *name)
{
        enum config_place other = place == CONFIG_TOP ? CONFIG_SERVER : CONFIG_TOP;
        const char *names[64];
        size_t n = 0;

        if (config_schema_find(other, name)) {
                config_report_mistake(at, other == CONFIG_TOP ? "belongs into \"envmux\" at the top of the file"
                                                              : "belongs into \"envmux\" of a server's entry");
                return;
        }
        for (const struct config_key *key = config_keys; key->name && n + 1 < ELEMENTSOF(names); key++)
                if (stands_at(key, place))
                        names[n++] = key->name;
        names[n] = NULL;

        const char *meant = config_report_suggest(name, names);

        if (meant)
                config_report_mistake(at, "unknown key (did you mean \"%s\"?)", meant);
        else
                config_report_mistake(at, "unknown key");
}

int config_schema_read(enum config_place place, const struct config_at *at, struct json_object *object, void *base,
                       struct server_config *inherited)
{
        if (!config_value_is(at, object, json_type_object, "an object"))
                return 0;

        json_object_object_foreach(object, name, value) {
                struct config_at member = config_at_member(at, name);
                const struct config_key *key = config_schema_find(place, name);

                if (!key) {
                        refuse_name(place, &member, name);
                        continue;
                }

                int r = config_value_read(key, &member, value, field_of(key, key->places & place ? base : inherited));

                if (r < 0)
                        return r;
        }
        return 0;
}

const char *config_schema_default(const struct config_key *key)
{
        return key->default_words ? key->default_words : key->default_text;
}
