/* Reload: answered when the configuration is in force, or when the new supervisor is about to take over. */
#include "supervisor/control_internal.h"
#include "supervisor/reload.h"

/* A call whose answer takes a while. */
struct reload_call {
        struct varlink_call *call;
        struct reload_request *request;
};

static void write_notes(struct json_writer *writer, const struct config_report *report)
{
        control_write_name(writer, "notes");
        json_writer_text(writer, "[");
        for (size_t i = 0; i < report->n_notes; i++) {
                const struct config_note *note = &report->notes[i];

                json_writer_text(writer, i ? ",{" : "{");
                control_write_bool(writer, "mistake", note->is_mistake);
                control_write_string(writer, "path", note->json_path);
                control_write_string(writer, "text", note->text);
                control_write_string(writer, "file", note->file);
                json_writer_text(writer, "}");
        }
        json_writer_text(writer, "]");
}

static void reply(struct varlink_call *call, const struct reload_result *result)
{
        struct json_writer answer = { .data = NULL };

        if (result->error < 0 && (result->why || result->report->n_notes == 0)) {
                control_error(call, "Failed", "why", result->why ? result->why : strerror(-result->error));
                return;
        }
        json_writer_text(&answer, "{");
        write_notes(&answer, result->report);
        if (result->error >= 0)
                control_write_bool(&answer, "restarting", result->is_restarting);
        json_writer_text(&answer, "}");
        if (result->error >= 0)
                varlink_reply(call, &answer);
        else
                varlink_error(call, CONTROL_INTERFACE ".ConfigInvalid", &answer);
}

static void on_done(const struct reload_result *result, void *userdata)
{
        struct reload_call *waiting = userdata;

        reply(waiting->call, result);
        free(waiting);
}

static void on_cancel(_unused_ struct varlink_call *call, void *userdata)
{
        struct reload_call *waiting = userdata;

        reload_forget(waiting->request);
        free(waiting);
}

void control_on_reload(struct varlink_call *call, void *userdata)
{
        struct reload *reload = ((struct control *) userdata)->supervisor->reload;
        struct reload_call *waiting = calloc(1, sizeof(*waiting));
        struct reload_request *request = NULL;

        if (waiting)
                waiting->call = call;
        if (!waiting || reload_begin(reload, on_done, waiting, &request) < 0) {
                free(waiting);
                control_error(call, "Failed", "why", strerror(ENOMEM));
                return;
        }
        if (!request)
                return; /* answered already */
        waiting->request = request;
        varlink_call_on_cancel(call, on_cancel, waiting);
}
