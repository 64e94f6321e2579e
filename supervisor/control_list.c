/* List: sessions with the counters that their workers have now. */
#include "supervisor/control_internal.h"
#include "supervisor/peers.h"
#include "supervisor/session_json.h"

#define WORKERS_USEC (500 * USEC_PER_MSEC) /* longest wait for the workers; then what is known is told */

/* A call that waits for the STATUS of each worker that was asked. */
struct control_list {
        LIST_ENTRY(control_list) entry;
        struct control *control;
        struct varlink_call *call;
        struct event *late_event;
        char awaited[IPC_ID_SIZE]; /* every session before this one has answered, or has nobody to answer */
};

static void list_free(struct control_list *list)
{
        LIST_REMOVE(list, entry);
        if (list->late_event)
                event_free(list->late_event);
        free(list);
}

static void on_cancel(_unused_ struct varlink_call *call, void *userdata)
{
        list_free(userdata);
}

static bool is_wanted(struct varlink_call *call, const struct session *s)
{
        const char *server = varlink_call_string(call, "server");

        return !server || streq(server, s->record.server);
}

static void answer(const struct control *control, struct varlink_call *call)
{
        const struct session_table *table = control->supervisor->sessions;
        struct json_writer parameters = { .data = NULL };
        const char *comma = "";

        json_writer_text(&parameters, "{\"sessions\":[");
        for (int in_ended = 0; in_ended <= varlink_call_bool(call, "ended", false); in_ended++) {
                struct session *(*next)(const struct session_table *table, const struct session *after) =
                        in_ended ? session_next_ended : session_next;

                for (const struct session *s = next(table, NULL); s; s = next(table, s)) {
                        if (!is_wanted(call, s))
                                continue;
                        json_writer_text(&parameters, comma);
                        control_write_session(call, s, &parameters);
                        comma = ",";
                }
        }
        json_writer_text(&parameters, "]}");
        varlink_reply(call, &parameters);
}

static bool is_awaited(struct varlink_call *call, const struct session *s)
{
        return s->worker && s->status_usec < s->status_asked_usec && is_wanted(call, s);
}

/* Goes on from where it stopped last: each session is passed once in all. */
static bool is_complete(struct control_list *list)
{
        const struct session_table *table = list->control->supervisor->sessions;
        const struct session *s = session_find_id(table, list->awaited);

        if (!s || session_state_is_final(s->state))
                s = session_next(table, NULL);
        while (s && !is_awaited(list->call, s))
                s = session_next(table, s);
        if (s)
                STR_COPY(list->awaited, s->record.id);
        return !s;
}

static void list_answer(struct control_list *list)
{
        answer(list->control, list->call);
        list_free(list);
}

void control_list_tell(struct control *control)
{
        struct control_list *next;

        for (struct control_list *list = LIST_FIRST(&control->lists); list; list = next) {
                next = LIST_NEXT(list, entry);
                if (is_complete(list))
                        list_answer(list);
        }
}

static void on_late(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        list_answer(userdata);
}

static bool ask_workers(const struct control *control, struct varlink_call *call)
{
        const struct session_table *table = control->supervisor->sessions;
        const struct ipc_empty nothing = { 0 };
        usec_t now = now_usec();
        bool is_asked = false;

        for (struct session *s = session_next(table, NULL); s; s = session_next(table, s))
                if (s->worker && is_wanted(call, s) &&
                    IPC_SEND(s->worker->channel, IPC_STATUS_GET, ++s->worker->next_cookie, &nothing) >= 0) {
                        s->status_asked_usec = now;
                        is_asked = true;
                }
        return is_asked;
}

void control_on_list(struct varlink_call *call, void *userdata)
{
        const struct timeval timeout = usec_to_timeval(WORKERS_USEC);
        struct control *control = userdata;
        struct control_list *list = ask_workers(control, call) ? calloc(1, sizeof(*list)) : NULL;

        if (!list) {
                answer(control, call);
                return;
        }
        *list = (struct control_list) { .control = control, .call = call };
        LIST_INSERT_HEAD(&control->lists, list, entry);
        varlink_call_on_cancel(call, on_cancel, list);
        list->late_event = event_new(control->supervisor->base, -1, 0, on_late, list);
        if (!list->late_event || event_add(list->late_event, &timeout) < 0)
                list_answer(list);
}
