/* Stop and Drain: sessions are told to end, and the call is answered when nothing of them is left. */
#include "supervisor/control_internal.h"
#include "supervisor/lifecycle.h"

#define DRAIN_USEC (10 * USEC_PER_MINUTE) /* of a session whose server is configured no more */

/* A call that waits. */
struct control_stop {
        LIST_ENTRY(control_stop) entry;
        struct varlink_call *call;
        size_t n_ids;
        char ids[][IPC_ID_SIZE];
};

static void stop_free(struct control_stop *stop)
{
        LIST_REMOVE(stop, entry);
        free(stop);
}

static void on_cancel(_unused_ struct varlink_call *call, void *userdata)
{
        stop_free(userdata);
}

static void answer(struct varlink_call *call, const struct control_stop *stop)
{
        struct json_writer parameters = { .data = NULL };

        json_writer_text(&parameters, "{\"stopped\":[");
        for (size_t i = 0; i < stop->n_ids; i++) {
                json_writer_text(&parameters, i ? "," : "");
                json_writer_string(&parameters, stop->ids[i]);
        }
        json_writer_text(&parameters, "]}");
        varlink_reply(call, &parameters);
}

static bool is_over(const struct control *control, const struct control_stop *stop)
{
        for (size_t i = 0; i < stop->n_ids; i++)
                if (session_find_id(control->supervisor->sessions, stop->ids[i]))
                        return false;
        return true;
}

void control_stop_settle(struct control *control)
{
        struct control_stop *next;

        for (struct control_stop *stop = LIST_FIRST(&control->stops); stop; stop = next) {
                next = LIST_NEXT(stop, entry);
                if (!is_over(control, stop))
                        continue;
                answer(stop->call, stop);
                stop_free(stop);
        }
}

/* Which sessions a call means: one, or all (of a server). */
struct target {
        struct session *session;
        const char *server;
};

static bool target_has(const struct target *target, const struct session *session)
{
        if (target->session)
                return session == target->session;
        return !target->server || streq(target->server, session->record.server);
}

/* True when exactly one way of naming sessions was used. Otherwise the call has been answered. */
static bool find_target(struct control *control, struct varlink_call *call, struct target *ret)
{
        bool has_id = varlink_call_string(call, "id"), has_all = varlink_call_bool(call, "all", false);

        ret->session = NULL;
        ret->server = varlink_call_string(call, "server");
        if (has_id + has_all + (ret->server != NULL) != 1) {
                varlink_error_parameter(call, "id");
                return false;
        }
        if (has_id) {
                ret->session = control_find_session(control, call);
                return ret->session;
        }
        if (ret->server && !config_find(control->supervisor->config, ret->server)) {
                control_error(call, "NoSuchServer", "server", ret->server);
                return false;
        }
        return true;
}

static usec_t drain_usec(const struct control *control, const struct session *session, int64_t wanted)
{
        const struct server_config *server = config_find(control->supervisor->config, session->record.server);

        if (wanted >= 0)
                return (usec_t) wanted;
        return server ? server->request_usec : DRAIN_USEC;
}

/* Ends the target's sessions and answers when they are over. is_patient: Drain. */
static void end_sessions(struct control *control, struct varlink_call *call, bool is_patient)
{
        const struct session_table *table = control->supervisor->sessions;
        int64_t wanted = varlink_call_int(call, "timeout_usec", -1);
        struct session *session, *next;
        struct control_stop *stop;
        struct target target;

        if (!find_target(control, call, &target))
                return;
        stop = calloc(1, sizeof(*stop) + session_count(table) * sizeof(stop->ids[0]));
        if (!stop) {
                control_error(call, "Failed", "why", strerror(ENOMEM));
                return;
        }
        stop->call = call;
        LIST_INSERT_HEAD(&control->stops, stop, entry);
        for (session = session_next(table, NULL); session; session = next) {
                next = session_next(table, session);
                if (!target_has(&target, session))
                        continue;
                STR_COPY(stop->ids[stop->n_ids++], session->record.id);
                lifecycle_stop(session, REASON_stopping, NULL,
                               is_patient ? drain_usec(control, session, wanted) : session->drain_usec);
        }
        if (is_over(control, stop) || !varlink_call_bool(call, "wait", true)) {
                answer(call, stop);
                stop_free(stop);
        } else {
                varlink_call_on_cancel(call, on_cancel, stop);
        }
}

void control_on_stop(struct varlink_call *call, void *userdata)
{
        end_sessions(userdata, call, false);
}

void control_on_drain(struct varlink_call *call, void *userdata)
{
        end_sessions(userdata, call, true);
}
