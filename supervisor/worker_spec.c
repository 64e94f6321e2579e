#include "supervisor/worker_spec.h"

#include "common/json_scan.h"

#include <inttypes.h>

const char *key_kind_to_string(enum key_kind kind)
{
        static const char *const words[KEY__MAX] = {
                [KEY_NAMED] = "named", [KEY_TRANSPORT] = "transport", [KEY_CLIENT] = "client",
                [KEY_META] = "meta", [KEY_SHARED] = "shared", [KEY_REQUEST] = "request", [KEY_HANDLE] = "handle",
                [KEY_PROBE] = "probe",
        };

        return (unsigned) kind < KEY__MAX ? words[kind] : NULL;
}

/* Members end with a comma; the last member of an object is written without these. */
static void write_text(struct json_writer *w, const char *name, const char *value)
{
        if (!value)
                return;
        json_writer_format(w, "\"%s\":", name);
        json_writer_string(w, value);
        json_writer_text(w, ",");
}

static void write_verbatim(struct json_writer *w, const char *name, const char *json)
{
        if (json)
                json_writer_format(w, "\"%s\":%s,", name, json);
}

/* JSON numbers are read into 63 bits. */
static void write_number(struct json_writer *w, const char *name, uint64_t value)
{
        json_writer_format(w, "\"%s\":%" PRIu64 ",", name, MIN_OF(value, (uint64_t) INT64_MAX));
}

static void write_bool(struct json_writer *w, const char *name, bool value)
{
        json_writer_format(w, "\"%s\":%s,", name, value ? "true" : "false");
}

static void write_strings(struct json_writer *w, const char *name, char *const *strings)
{
        json_writer_format(w, "\"%s\":[", name);
        for (size_t i = 0; strings && strings[i]; i++) {
                if (i > 0)
                        json_writer_text(w, ",");
                json_writer_string(w, strings[i]);
        }
        json_writer_text(w, "],");
}

static void write_identity(struct json_writer *w, const struct record *record)
{
        write_text(w, "id", record->id);
        write_text(w, "server", record->server);
        write_text(w, "key", record->key);
        write_text(w, "kind", key_kind_to_string(record->kind));
        write_number(w, "generation", record->generation);
        write_text(w, "token", record->token);
}

static void write_program(struct json_writer *w, const struct server_config *server, const char *command)
{
        write_text(w, "transport", server->transport == TRANSPORT_HTTP ? "http" : "stdio");
        write_bool(w, "uses_socket", server->uses_socket);
        write_text(w, "http_path", server->http_path);
        write_text(w, "command", command);
        write_strings(w, "args", server->args);
        write_strings(w, "env", server->env);
        write_text(w, "cwd", server->cwd);
}

/* A backend that was made for one request, or to be looked at, has no successor. */
static bool kind_lasts(enum key_kind kind)
{
        return kind != KEY_REQUEST && kind != KEY_PROBE;
}

static void write_limits(struct json_writer *w, const struct session *s, const struct server_config *server)
{
        static const char *const attach[] = {
                [ATTACH_JOIN] = "join", [ATTACH_REPLACE] = "replace", [ATTACH_REJECT] = "reject",
        };

        write_text(w, "attach", attach[server->attach]);
        write_bool(w, "awaits_request", s->awaits_request);
        write_bool(w, "is_managed", s->record.is_put);
        write_bool(w, "revives", server->on_idle == ON_IDLE_REVIVE && kind_lasts((enum key_kind) s->record.kind));
        write_number(w, "idle_usec", s->record.idle_usec == USEC_INFINITY ? 0 : s->record.idle_usec);
        write_number(w, "start_usec", server->start_usec);
        write_number(w, "request_usec", server->request_usec);
        write_number(w, "drain_usec", server->drain_usec);
        write_number(w, "connection_usec", server->connection_usec);
        write_number(w, "retry_usec", server->retry_usec);
        write_number(w, "rung_usec", server->rung_usec);
        write_number(w, "message_bytes_max", server->message_bytes_max);
        write_number(w, "buffer_bytes_max", server->buffer_bytes_max);
        write_number(w, "log_bytes_max", server->log_bytes_max);
        if (limits_set(&server->session_limits) & 1u << LIMIT_MEMORY_MAX)
                write_text(w, "memory_limit", server->session_limits.of[LIMIT_MEMORY_MAX].text);
}

static void write_values(struct json_writer *w, const struct session *s)
{
        json_writer_text(w, "\"values\":{");
        if (s->record.has_seed)
                json_writer_format(w, "\"seed\":\"%" PRId64 "\",", s->record.seed);
        write_text(w, "session", s->record.id);
        write_text(w, "config_file", s->paths.config_file);
        json_writer_text(w, "\"workspace\":");
        json_writer_string(w, s->paths.work);
        json_writer_text(w, "}");
}

int worker_spec_build(const struct session *s, const struct server_config *server, const char *command,
                      char **ret, size_t *ret_size)
{
        _cleanup_json_writer_ struct json_writer w = { .failed = false };

        json_writer_text(&w, "{");
        write_identity(&w, &s->record);
        write_program(&w, server, command);
        write_limits(&w, s, server);
        write_text(&w, "tmp", s->paths.tmp);
        write_verbatim(&w, "config", s->record.config);
        write_verbatim(&w, "revive", s->record.revive);
        write_values(&w, s);
        json_writer_text(&w, "}\n");
        return json_writer_finish(&w, ret, ret_size);
}
