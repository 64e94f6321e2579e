#include "supervisor/session_json.h"

#include "common/time_text.h"
#include "supervisor/era.h"
#include "supervisor/session_limits.h"
#include "supervisor/supervisor.h"
#include "supervisor/worker_spec.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>

/* Each member is written with the comma before it; the first one is "id". */
static void write_text(struct json_writer *w, const char *name, const char *value)
{
        if (!value)
                return;
        json_writer_format(w, ",\"%s\":", name);
        json_writer_string(w, value);
}

static void write_number(struct json_writer *w, const char *name, uint64_t value)
{
        json_writer_format(w, ",\"%s\":%" PRIu64, name, value);
}

/* JSON text of ours or of the client's, verbatim. */
static void write_json(struct json_writer *w, const char *name, const char *value)
{
        if (value)
                json_writer_format(w, ",\"%s\":%s", name, value);
}

static void write_time(struct json_writer *w, const char *name, usec_t realtime_usec)
{
        char text[TIME_TEXT_SIZE];

        time_text_utc(realtime_usec, text);
        write_text(w, name, text);
}

/* A path of unreserved characters and %XX (RFC 3986 §2) needs no escapes of JSON's. */
static void write_url(const struct session *s, struct json_writer *w)
{
        const struct record *r = &s->record;

        json_writer_format(w, ",\"url\":\"/%s", r->server);
        if (r->kind == KEY_NAMED) {
                json_writer_text(w, "/s/");
                for (const char *c = r->key; *c; c++)
                        json_writer_format(w, isalnum((unsigned char) *c) || strchr("-._~", *c) ? "%c" : "%%%02X",
                                           (unsigned char) *c);
        }
        json_writer_text(w, "/mcp\"");
}

static void write_identity(const struct session *s, struct json_writer *w)
{
        const struct record *r = &s->record;

        json_writer_text(w, "{\"id\":");
        json_writer_string(w, r->id);
        write_text(w, "server", r->server);
        write_text(w, "key", r->key);
        write_text(w, "kind", key_kind_to_string((enum key_kind) r->kind));
        write_text(w, "principal", r->principal);
        write_number(w, "generation", r->generation);
        write_text(w, "era", era_to_string(era_of_session(s->supervisor->eras, s)));
        if (r->kind != KEY_PROBE)
                write_url(s, w);
}

/* What the failure says more than its reason. */
static void write_detail(const struct session *s, struct json_writer *w)
{
        _cleanup_free_ char *detail = session_end_detail(s);

        write_text(w, "detail", detail);
}

static void write_state(const struct session *s, struct json_writer *w)
{
        write_text(w, "state", session_state_to_active(s->state));
        write_text(w, "sub_state", session_state_to_string(s->state));
        write_time(w, "since", s->since_realtime_usec);
        write_number(w, "since_usec", s->since_realtime_usec);
        write_number(w, "created_usec", s->record.created_usec);
        if (s->end_reason != REASON__MAX)
                write_text(w, "reason", reason_to_string(s->end_reason));
        write_detail(s, w);
}

static void write_processes(const struct session *s, struct json_writer *w)
{
        const struct record *r = &s->record;
        bool is_over = session_state_is_final(s->state);

        if (s->backend_pid > 0 && !is_over)
                write_number(w, "backend_pid", (uint64_t) s->backend_pid);
        write_text(w, "command", s->command);
        if (s->worker_pid > 0 && !is_over)
                write_number(w, "worker_pid", (uint64_t) s->worker_pid);
        write_text(w, "user", r->user);
        write_text(w, "tracking", s->tracking);
        if (!is_over)
                write_text(w, "workspace", s->paths.work);
}

static void write_counters(const struct session *s, struct json_writer *w)
{
        write_number(w, "in_flight", session_state_is_final(s->state) ? 0 : s->status.in_flight);
        write_number(w, "clients", session_state_is_final(s->state) ? 0 : s->status.clients);
        write_number(w, "requests", s->status.requests);
        write_number(w, "bytes_in", s->status.bytes_in);
        write_number(w, "bytes_out", s->status.bytes_out);
        write_number(w, "bytes_buffered", s->status.bytes_buffered);
        write_number(w, "idle_usec", session_state_is_final(s->state) ? 0 : session_idle_usec(s));
}

static void write_settings(const struct session *s, struct json_writer *w)
{
        const struct record *r = &s->record;

        if (r->idle_usec != USEC_INFINITY)
                write_number(w, "idle_timeout_usec", r->idle_usec);
        if (r->lifetime_usec != USEC_INFINITY)
                write_number(w, "lifetime_usec", r->lifetime_usec);
        if (r->has_seed)
                json_writer_format(w, ",\"seed\":%" PRId64, r->seed);
        write_json(w, "labels", r->labels);
        write_json(w, "config", r->config);
}

static void write_aliases(const struct session *s, struct json_writer *w)
{
        const struct session_alias *alias;
        const char *comma = "";

        json_writer_text(w, ",\"aliases\":[");
        TAILQ_FOREACH(alias, &s->aliases, of_session) {
                json_writer_format(w, "%s{\"kind\":\"%s\",\"key\":", comma, key_kind_to_string(alias->kind));
                json_writer_string(w, alias->key);
                json_writer_text(w, "}");
                comma = ",";
        }
        json_writer_text(w, "]");
}

static void write_exit(const struct session *s, struct json_writer *w)
{
        const struct session_exit *e = &s->last_exit;

        write_text(w, "last_lines", s->last_lines);
        if (!e->is_known)
                return;
        json_writer_format(w, ",\"last_exit\":{\"pid\":%d,\"code\":\"%s\"", (int) e->pid,
                           e->code == CLD_EXITED ? "exited" : e->code == CLD_DUMPED ? "dumped" : "killed");
        write_number(w, e->code == CLD_EXITED ? "status" : "signal", (uint64_t) e->status);
        json_writer_text(w, "}");
}

static void write_members(const struct session *s, struct json_writer *w)
{
        write_identity(s, w);
        write_state(s, w);
        write_processes(s, w);
        write_counters(s, w);
        write_settings(s, w);
        session_limits_write(s, w);
        write_aliases(s, w);
        write_exit(s, w);
}

void session_json_write(const struct session *s, struct json_writer *w)
{
        write_members(s, w);
        json_writer_text(w, "}");
}

void session_json_write_used(const struct session *s, struct json_writer *w)
{
        write_members(s, w);
        if (s->usage.is_read) {
                json_writer_text(w, ",\"usage\":");
                usage_write(&s->usage, w);
        }
        json_writer_text(w, "}");
}
