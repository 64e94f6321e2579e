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
        struct event *usage_event; /* reads some more; NULL: nobody asked for usage */
        usec_t begun_usec;
        bool is_told, is_read;     /* what the workers say, what the sessions use: no more of it is waited for */
        char awaited[IPC_ID_SIZE]; /* every session before this one has answered, or has nobody to answer */
        char unread[IPC_ID_SIZE];  /* likewise of control_usage_read_some */
};

static void list_free(struct control_list *list)
{
        LIST_REMOVE(list, entry);
        if (list->late_event)
                event_free(list->late_event);
        if (list->usage_event)
                event_free(list->usage_event);
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
        bool with_usage = varlink_call_bool(call, "usage", false);
        const char *comma = "";

        json_writer_text(&parameters, "{\"sessions\":[");
        for (int in_ended = 0; in_ended <= varlink_call_bool(call, "ended", false); in_ended++) {
                struct session *(*next)(const struct session_table *table, const struct session *after) =
                        in_ended ? session_next_ended : session_next;

                for (const struct session *s = next(table, NULL); s; s = next(table, s)) {
                        if (!is_wanted(call, s))
                                continue;
                        json_writer_text(&parameters, comma);
                        control_write_session(call, s, with_usage, &parameters);
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

static void list_answer_if_complete(struct control_list *list)
{
        if (!list->is_told || !list->is_read)
                return;
        answer(list->control, list->call);
        list_free(list);
}

void control_list_tell(struct control *control)
{
        struct control_list *next;

        for (struct control_list *list = LIST_FIRST(&control->lists); list; list = next) {
                next = LIST_NEXT(list, entry);
                if (list->is_told || !is_complete(list))
                        continue;
                list->is_told = true;
                list_answer_if_complete(list);
        }
}

static void on_late(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct control_list *list = userdata;

        list->is_told = true;
        list_answer_if_complete(list);
}

/* By the clock: libevent goes on with what is activated in a callback before it looks for anything else. */
static int read_more(struct control_list *list)
{
        const struct timeval now = { .tv_sec = 0 };

        return event_add(list->usage_event, &now) < 0 ? -ENOMEM : 0;
}

static void on_usage(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct control_list *list = userdata;

        list->is_read = control_usage_read_some(list->control, varlink_call_string(list->call, "server"),
                                                list->begun_usec, list->unread);
        if (!list->is_read && read_more(list) < 0)
                list->is_read = true;
        list_answer_if_complete(list);
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

static int events_make(struct control_list *list)
{
        const struct timeval timeout = usec_to_timeval(WORKERS_USEC);
        struct event_base *base = list->control->supervisor->base;

        list->late_event = event_new(base, -1, 0, on_late, list);
        if (!list->late_event || event_add(list->late_event, &timeout) < 0)
                return -ENOMEM;
        if (list->is_read)
                return 0;
        list->usage_event = event_new(base, -1, 0, on_usage, list);
        if (!list->usage_event)
                return -ENOMEM;
        /* Others come first: somebody who only looks can wait. */
        (void) event_priority_set(list->usage_event, LOOP_LATE);
        return read_more(list);
}

void control_on_list(struct varlink_call *call, void *userdata)
{
        struct control *control = userdata;
        bool is_asked = ask_workers(control, call), with_usage = varlink_call_bool(call, "usage", false);
        struct control_list *list = is_asked || with_usage ? calloc(1, sizeof(*list)) : NULL;

        if (!list) {
                answer(control, call);
                return;
        }
        *list = (struct control_list) {
                .control = control, .call = call, .begun_usec = now_usec(), .is_told = !is_asked, .is_read = !with_usage,
        };
        LIST_INSERT_HEAD(&control->lists, list, entry);
        varlink_call_on_cancel(call, on_cancel, list);
        if (events_make(list) < 0) {
                list->is_told = list->is_read = true;
                list_answer_if_complete(list);
        }
}
