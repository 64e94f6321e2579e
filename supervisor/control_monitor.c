/* Monitor: every move of every session, to whoever watches. */
#include "common/time_text.h"
#include "supervisor/control_internal.h"

struct control_monitor {
        LIST_ENTRY(control_monitor) entry;
        struct varlink_call *call;
};

static void on_cancel(_unused_ struct varlink_call *call, void *userdata)
{
        struct control_monitor *monitor = userdata;

        LIST_REMOVE(monitor, entry);
        free(monitor);
}

static void write_event(struct json_writer *writer, const struct session *session, enum session_state old,
                        bool is_privileged)
{
        _cleanup_free_ char *detail = is_privileged ? session_end_detail(session) : NULL;
        char time[TIME_TEXT_SIZE];

        time_text_utc(session->since_realtime_usec, time);
        json_writer_text(writer, "{\"event\":{");
        control_write_string(writer, "time", time);
        control_write_string(writer, "id", session->record.id);
        control_write_string(writer, "server", session->record.server);
        control_write_string(writer, "key", is_privileged ? session->record.key : NULL);
        control_write_int(writer, "generation", session->record.generation);
        control_write_string(writer, "from", old == session->state ? NULL : session_state_to_string(old));
        control_write_string(writer, "to", session_state_to_string(session->state));
        control_write_string(writer, "state", session_state_to_active(session->state));
        control_write_string(writer, "reason",
                             session->end_reason == REASON__MAX ? NULL : reason_to_string(session->end_reason));
        control_write_string(writer, "detail", detail);
        json_writer_text(writer, "}}");
}

void control_monitor_tell(struct control *control, struct session *session, enum session_state old)
{
        struct control_monitor *monitor;
        bool is_new = session->state == SESSION_QUEUED || session->state == SESSION_ADOPTING;

        /* Something else than the state has changed. */
        if (old == session->state && !is_new)
                return;
        LIST_FOREACH(monitor, &control->monitors, entry) {
                struct json_writer event = { .data = NULL };

                write_event(&event, session, old, varlink_call_is_privileged(monitor->call));
                (void) varlink_reply_continue(monitor->call, &event);
        }
}

void control_on_monitor(struct varlink_call *call, void *userdata)
{
        struct control *control = userdata;
        struct control_monitor *monitor = calloc(1, sizeof(*monitor));

        if (!monitor) {
                control_error(call, "Failed", "why", strerror(ENOMEM));
                return;
        }
        monitor->call = call;
        LIST_INSERT_HEAD(&control->monitors, monitor, entry);
        varlink_call_on_cancel(call, on_cancel, monitor);
        (void) varlink_reply_continue(call, NULL);
}
