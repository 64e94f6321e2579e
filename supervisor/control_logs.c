/* Logs: what the worker kept of its backend's stderr, and with "follow" what comes after. */
#include "supervisor/control_internal.h"
#include "supervisor/session_logs.h"

#define LINES_DEFAULT 100
#define WORKER_USEC (5 * USEC_PER_SEC) /* for lines that it has already; then it hangs */

struct logs {
        struct varlink_call *call;
        struct log_request *request;
        struct event *late_event;  /* without "follow" only */
        struct json_writer answer; /* without "more": all of it, collected */
        uint64_t dropped;
};

static void logs_free(struct logs *logs)
{
        log_request_free(logs->request);
        if (logs->late_event)
                event_free(logs->late_event);
        json_writer_done(&logs->answer);
        free(logs);
}

static void on_cancel(_unused_ struct varlink_call *call, void *userdata)
{
        logs_free(userdata);
}

static void append_lines(struct json_writer *writer, const char *lines, size_t size, bool is_stdout)
{
        const char *end = size > 0 ? lines + size : lines;

        while (lines < end) {
                const char *newline = memchr(lines, '\n', (size_t) (end - lines));
                size_t line_size = (size_t) ((newline ? newline : end) - lines);

                json_writer_text(writer, writer->size > 0 && writer->data[writer->size - 1] == '}' ? ",{" : "{");
                control_write_name(writer, "text");
                json_writer_string_n(writer, lines, line_size);
                control_write_bool(writer, "stdout", is_stdout);
                json_writer_text(writer, "}");
                lines += line_size + 1;
        }
}

static void begin_answer(struct logs *logs)
{
        json_writer_text(&logs->answer, "{\"lines\":[");
}

static void end_answer(struct logs *logs)
{
        json_writer_text(&logs->answer, "]");
        control_write_int(&logs->answer, "dropped", (int64_t) logs->dropped);
        json_writer_text(&logs->answer, "}");
        logs->dropped = 0;
}

static void on_lines(const struct ipc_log_lines *info, const char *lines, size_t size, void *userdata)
{
        struct logs *logs = userdata;

        append_lines(&logs->answer, lines, size, info->is_stdout);
        logs->dropped += info->dropped;
        if (info->is_last) {
                end_answer(logs);
                varlink_reply(logs->call, &logs->answer);
                logs_free(logs);
        } else if (varlink_call_wants_more(logs->call)) {
                end_answer(logs);
                /* A reader that is gone or too slow is cancelled from the loop. */
                (void) varlink_reply_continue(logs->call, &logs->answer);
                begin_answer(logs);
        }
}

static void on_late(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct logs *logs = userdata;

        control_error(logs->call, "Failed", "why", "its worker does not answer");
        logs_free(logs);
}

static int late_event_add(struct logs *logs, struct event_base *base)
{
        const struct timeval timeout = usec_to_timeval(WORKER_USEC);

        logs->late_event = event_new(base, -1, 0, on_late, logs);
        return logs->late_event && event_add(logs->late_event, &timeout) == 0 ? 0 : -ENOMEM;
}

/* Of a session that has ended, its last lines are known. */
static void answer_remembered(struct logs *logs, const struct session *session)
{
        if (session->last_lines)
                append_lines(&logs->answer, session->last_lines, strlen(session->last_lines), false);
        json_writer_text(&logs->answer, "]");
        control_write_int(&logs->answer, "dropped", 0);
        control_write_string(&logs->answer, "ended", session->record.id);
        json_writer_text(&logs->answer, "}");
        varlink_reply(logs->call, &logs->answer);
        logs_free(logs);
}

void control_on_logs(struct varlink_call *call, void *userdata)
{
        bool follow = varlink_call_bool(call, "follow", false);
        struct session *session = control_find_session(userdata, call);
        struct logs *logs;
        int r;

        if (!session)
                return;
        if (follow && !varlink_call_wants_more(call)) {
                varlink_error(call, VARLINK_ERROR_EXPECTED_MORE, NULL);
                return;
        }
        logs = calloc(1, sizeof(*logs));
        if (!logs) {
                control_error(call, "Failed", "why", strerror(ENOMEM));
                return;
        }
        logs->call = call;
        begin_answer(logs);
        r = log_request_new(session, (unsigned) varlink_call_int(call, "lines", LINES_DEFAULT), follow, on_lines, logs,
                            &logs->request);
        if (r >= 0 && !follow)
                r = late_event_add(logs, session->supervisor->base);
        if (r == -ENOTCONN) {
                answer_remembered(logs, session);
        } else if (r < 0) {
                logs_free(logs);
                control_error(call, "Failed", "why", strerror(-r));
        } else {
                varlink_call_on_cancel(call, on_cancel, logs);
        }
}
