/* Show: a session with the counters that its worker has now. */
#include "supervisor/control_internal.h"
#include "supervisor/peers.h"

#define WORKER_USEC (500 * USEC_PER_MSEC) /* longest wait for the worker; then what is known is told */

/* A call that waits for the worker's STATUS. */
struct control_show {
        LIST_ENTRY(control_show) entry;
        struct control *control;
        struct varlink_call *call;
        struct event *late_event;
        char id[IPC_ID_SIZE];
};

static void show_free(struct control_show *show)
{
        LIST_REMOVE(show, entry);
        if (show->late_event)
                event_free(show->late_event);
        free(show);
}

static void on_cancel(_unused_ struct varlink_call *call, void *userdata)
{
        show_free(userdata);
}

static void answer(struct varlink_call *call, struct session *session)
{
        struct json_writer parameters = { .data = NULL };

        control_usage_read(session);
        json_writer_text(&parameters, "{\"session\":");
        control_write_session(call, session, true, &parameters);
        json_writer_text(&parameters, "}");
        varlink_reply(call, &parameters);
}

void control_show_tell(struct control *control, struct session *session)
{
        struct control_show *next;

        for (struct control_show *show = LIST_FIRST(&control->shows); show; show = next) {
                next = LIST_NEXT(show, entry);
                if (!streq(show->id, session->record.id))
                        continue;
                answer(show->call, session);
                show_free(show);
        }
}

/* The session lives: had it ended, control_show_tell would have been called. */
static void on_late(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct control_show *show = userdata;

        answer(show->call, session_find_id(show->control->supervisor->sessions, show->id));
        show_free(show);
}

/* Asks the worker and keeps the call. */
static int ask_worker(struct control *control, struct varlink_call *call, const struct session *session)
{
        const struct timeval timeout = usec_to_timeval(WORKER_USEC);
        const struct ipc_empty nothing = { 0 };
        struct control_show *show = calloc(1, sizeof(*show));
        int r;

        if (!show)
                return -ENOMEM;
        *show = (struct control_show) { .control = control, .call = call };
        STR_COPY(show->id, session->record.id);
        LIST_INSERT_HEAD(&control->shows, show, entry);
        show->late_event = event_new(control->supervisor->base, -1, 0, on_late, show);
        r = show->late_event && event_add(show->late_event, &timeout) >= 0 ? 0 : -ENOMEM;
        if (r >= 0)
                r = IPC_SEND(session->worker->channel, IPC_STATUS_GET, ++session->worker->next_cookie, &nothing);
        if (r < 0) {
                show_free(show);
                return r;
        }
        varlink_call_on_cancel(call, on_cancel, show);
        return 0;
}

void control_on_show(struct varlink_call *call, void *userdata)
{
        struct control *control = userdata;
        struct session *session = control_find_session(control, call);

        if (session && (!session->worker || ask_worker(control, call, session) < 0))
                answer(call, session);
}
