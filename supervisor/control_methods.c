/* What a caller may see of a session; and Metrics. */
#include "common/time_text.h"
#include "supervisor/control_internal.h"
#include "supervisor/routers.h"
#include "supervisor/session_json.h"

#include <config.h>

/* ---- sessions ---------------------------------------------------------------------------------- */

/* Leads into a session, or is what a client said: for privileged users. */
static bool is_private(struct json_slice name)
{
        static const char *const names[] = { "key", "url", "aliases", "labels", "config", "command", "last_lines",
                                             "detail" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (json_string_is(name, names[i]))
                        return true;
        return false;
}

static void write_whole(const struct session *session, bool with_usage, struct json_writer *writer)
{
        if (with_usage)
                session_json_write_used(session, writer);
        else
                session_json_write(session, writer);
}

static void write_public(const struct session *session, bool with_usage, struct json_writer *writer)
{
        _cleanup_json_writer_ struct json_writer whole = { .data = NULL };
        struct json_slice object, name, value;
        size_t cursor = 0;

        write_whole(session, with_usage, &whole);
        json_writer_text(writer, "{");
        if (whole.failed || json_validate(whole.data, whole.size, &object) < 0) {
                writer->failed = true;
                return;
        }
        for (bool first = true; json_next(object, &cursor, &name, &value) > 0;) {
                if (is_private(name))
                        continue;
                json_writer_text(writer, first ? "" : ",");
                json_writer_raw(writer, name.data, name.size);
                json_writer_text(writer, ":");
                json_writer_raw(writer, value.data, value.size);
                first = false;
        }
        json_writer_text(writer, "}");
}

void control_write_session(const struct varlink_call *call, const struct session *session, bool with_usage,
                           struct json_writer *writer)
{
        if (varlink_call_is_privileged(call))
                write_whole(session, with_usage, writer);
        else
                write_public(session, with_usage, writer);
}

/* ---- metrics ----------------------------------------------------------------------------------- */

static void write_counters(struct json_writer *writer, const struct supervisor_counters *counters)
{
        const struct {
                const char *name;
                uint64_t value;
        } rows[] = {
                { "sessions_created", counters->sessions_created },
                { "sessions_adopted", counters->sessions_adopted },
                { "sessions_started", counters->sessions_started },
                { "sessions_stopped", counters->sessions_stopped },
                { "sessions_failed", counters->sessions_failed },
                { "probes", counters->probes },
                { "start_usec_sum", counters->start_usec_sum },
                { "resolves", counters->resolves },
                { "resolves_refused", counters->resolves_refused },
                { "routers_lost", counters->routers_lost },
                { "workers_lost", counters->workers_lost },
                { "strays_killed", counters->strays_killed },
        };

        control_write_name(writer, "counters");
        json_writer_text(writer, "{");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                control_write_int(writer, rows[i].name, (int64_t) rows[i].value);
        json_writer_text(writer, "}");
}

/* Sums over the live sessions and the routers, and how many sessions there are in each sub-state. */
static void write_gauges(struct json_writer *writer, const struct supervisor *supervisor)
{
        const struct session_table *table = supervisor->sessions;
        struct ipc_router_status routers = routers_status(supervisor->routers);
        unsigned by_state[SESSION_STATE__MAX] = { 0 };
        uint64_t in_flight = 0, clients = 0, buffered = 0;

        for (const struct session *s = session_next(table, NULL); s; s = session_next(table, s)) {
                by_state[s->state]++;
                in_flight += s->status.in_flight;
                clients += s->status.clients;
                buffered += s->status.bytes_buffered;
        }
        control_write_name(writer, "gauges");
        json_writer_text(writer, "{");
        control_write_int(writer, "sessions", session_count(table));
        for (enum session_state state = 0; state < SESSION_STATE__MAX; state++) {
                char name[64];

                if (session_state_is_final(state))
                        continue;
                snprintf(name, sizeof(name), "sessions_%s", session_state_to_string(state));
                control_write_int(writer, name, by_state[state]);
        }
        control_write_int(writer, "sessions_remembered", session_count_ended(table));
        control_write_int(writer, "in_flight", (int64_t) in_flight);
        control_write_int(writer, "clients", (int64_t) clients);
        control_write_int(writer, "bytes_buffered", (int64_t) buffered);
        control_write_int(writer, "routers", routers_count_connected(supervisor->routers));
        control_write_int(writer, "routers_wanted", supervisor->config->routers);
        control_write_int(writer, "http_clients", routers.clients);
        control_write_int(writer, "http_in_flight", routers.in_flight);
        json_writer_text(writer, "}");
}

void control_on_metrics(struct varlink_call *call, void *userdata)
{
        const struct supervisor *supervisor = ((struct control *) userdata)->supervisor;
        struct json_writer answer = { .data = NULL };
        char started[TIME_TEXT_SIZE];

        time_text_utc(supervisor->started_realtime_usec, started);
        json_writer_text(&answer, "{");
        control_write_string(&answer, "version", PACKAGE_VERSION);
        control_write_int(&answer, "pid", getpid());
        control_write_string(&answer, "started", started);
        write_counters(&answer, &supervisor->counters);
        write_gauges(&answer, supervisor);
        json_writer_text(&answer, "}");
        varlink_reply(call, &answer);
}
