#include "supervisor/control_internal.h"

#include <config.h>

static const char description[] =
#include "supervisor/io.envmux.Control.varlink.inc"
        ;

#define ID(optional) \
        { .name = "id", .type = VARLINK_STRING, .is_optional = (optional), .min = 1, .max = CONTROL_ID_SIZE }
#define SERVER { .name = "server", .type = VARLINK_STRING, .is_optional = true, .min = 1, .max = IPC_SERVER_SIZE - 1 }
#define OPTION(option) { .name = (option), .type = VARLINK_BOOL, .is_optional = true }

static const struct varlink_field list_fields[] = { SERVER, OPTION("ended"), OPTION("usage") };
static const struct varlink_field show_fields[] = { ID(false) };
static const struct varlink_field logs_fields[] = {
        ID(false),
        { .name = "lines", .type = VARLINK_INT, .is_optional = true, .min = 0, .max = INT32_MAX },
        OPTION("follow"),
};
static const struct varlink_field stop_fields[] = { ID(true), SERVER, OPTION("all"), OPTION("wait") };
static const struct varlink_field drain_fields[] = {
        ID(true), SERVER, OPTION("all"), OPTION("wait"),
        { .name = "timeout_usec", .type = VARLINK_INT, .is_optional = true, .min = 0, .max = INT64_MAX },
};

#define FIELDS(array) .fields = (array), .n_fields = ELEMENTSOF(array)

static const struct varlink_method methods[] = {
        { .name = "List", FIELDS(list_fields), .handler = control_on_list },
        { .name = "Show", FIELDS(show_fields), .handler = control_on_show },
        { .name = "Logs", FIELDS(logs_fields), .handler = control_on_logs, .flags = VARLINK_PRIVILEGED },
        { .name = "Monitor", .handler = control_on_monitor, .flags = VARLINK_NEEDS_MORE },
        { .name = "Stop", FIELDS(stop_fields), .handler = control_on_stop, .flags = VARLINK_PRIVILEGED },
        { .name = "Drain", FIELDS(drain_fields), .handler = control_on_drain, .flags = VARLINK_PRIVILEGED },
        { .name = "Reload", .handler = control_on_reload, .flags = VARLINK_PRIVILEGED },
        { .name = "Metrics", .handler = control_on_metrics },
        { .name = "Servers", .handler = control_on_servers },
};

static const struct varlink_service service = {
        .vendor = "envmux",
        .product = "envmux",
        .version = PACKAGE_VERSION,
        .url = "",
        .interface = CONTROL_INTERFACE,
        .description = description,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
        .clients_max = 128,
        .clients_reserved = 16,
        .message_bytes_max = 64 * 1024,
        .stream_bytes_max = 1024 * 1024,
        .reply_bytes_max = 16 * 1024 * 1024,
        .message_usec = 30 * USEC_PER_SEC,
        .write_usec = 60 * USEC_PER_SEC,
};

/* ---- text of answers --------------------------------------------------------------------------- */

void control_write_name(struct json_writer *writer, const char *name)
{
        char last = writer->size > 0 ? writer->data[writer->size - 1] : '{';

        if (last != '{')
                json_writer_text(writer, ",");
        json_writer_format(writer, "\"%s\":", name);
}

void control_write_string(struct json_writer *writer, const char *name, const char *value)
{
        if (!value)
                return;
        control_write_name(writer, name);
        json_writer_string(writer, value);
}

void control_write_int(struct json_writer *writer, const char *name, int64_t value)
{
        control_write_name(writer, name);
        json_writer_format(writer, "%lld", (long long) value);
}

void control_write_bool(struct json_writer *writer, const char *name, bool value)
{
        control_write_name(writer, name);
        json_writer_text(writer, value ? "true" : "false");
}

void control_error(struct varlink_call *call, const char *error, const char *member, const char *value)
{
        struct json_writer parameters = { .data = NULL };
        char name[sizeof(CONTROL_INTERFACE) + 64];

        json_writer_text(&parameters, "{");
        control_write_string(&parameters, member, value);
        json_writer_text(&parameters, "}");
        snprintf(name, sizeof(name), CONTROL_INTERFACE ".%s", error);
        varlink_error(call, name, &parameters);
}

/* ---- the object -------------------------------------------------------------------------------- */

static void on_change(struct session *session, enum session_state old, void *userdata)
{
        struct control *control = userdata;

        control_monitor_tell(control, session, old);
        control_list_tell(control);
        control_show_tell(control, session);
        /* The session's files go after this move: whoever waits for its end is told from the loop. */
        if (session_state_is_final(session->state) && !LIST_EMPTY(&control->stops))
                event_active(control->settle_event, EV_TIMEOUT, 0);
}

static void on_settle(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        control_stop_settle(userdata);
}

int control_new(struct supervisor *supervisor, int listen_fd, struct control **ret)
{
        _cleanup_(control_freep) struct control *control = calloc(1, sizeof(*control));
        int r;

        if (!control)
                return -ENOMEM;
        control->supervisor = supervisor;
        control->settle_event = event_new(supervisor->base, -1, 0, on_settle, control);
        if (!control->settle_event)
                return -ENOMEM;
        r = varlink_server_new(supervisor->base, listen_fd, true, &service, control, &control->server);
        if (r < 0)
                return r;
        control->observer = (struct session_observer) { .on_change = on_change, .userdata = control };
        supervisor_observe(supervisor, &control->observer);
        *ret = TAKE_PTR(control);
        return 0;
}

struct control *control_free(struct control *control)
{
        if (!control)
                return NULL;
        if (control->observer.on_change)
                supervisor_unobserve(control->supervisor, &control->observer);
        varlink_server_free(control->server);
        if (control->settle_event)
                event_free(control->settle_event);
        free(control);
        return NULL;
}
