#include "common/varlink_internal.h"

#include <json-c/json.h>

#define INTERFACE_SIZE 256

/* An interface of the server: its methods get userdata. */
struct interface {
        const char *name;
        const struct varlink_method *methods;
        size_t n_methods;
        void *userdata;
};

static const char service_description[] =
#include "common/org.varlink.service.varlink.inc"
        ;

/* ---- answering --------------------------------------------------------------------------------- */

static struct varlink_call *call_free(struct varlink_call *call)
{
        json_object_put(call->message);
        free(call);
        return NULL;
}

static void call_done(struct varlink_call *call)
{
        struct varlink_conn *conn = call->conn;

        conn->call = NULL;
        call_free(call);
        varlink_conn_wake(conn);
}

void varlink_call_cancel(struct varlink_call *call)
{
        if (call->on_cancel)
                call->on_cancel(call, call->cancel_userdata);
        call_free(call);
}

void varlink_call_on_cancel(struct varlink_call *call, void (*on_cancel)(struct varlink_call *call, void *userdata),
                            void *userdata)
{
        call->on_cancel = on_cancel;
        call->cancel_userdata = userdata;
}

static struct json_object *answer_new(struct json_object *parameters_consume)
{
        struct json_object *message = json_object_new_object();

        json_object_object_add(message, "parameters",
                               parameters_consume ? parameters_consume : json_object_new_object());
        return message;
}

int varlink_reply_continue(struct varlink_call *call, struct json_object *parameters_consume)
{
        _cleanup_(json_object_putp) struct json_object *message = answer_new(parameters_consume);
        struct varlink_conn *conn = call->conn;
        int r;

        assert(call->wants_more);
        if (conn->is_closing)
                return -EPIPE;
        json_object_object_add(message, "continues", json_object_new_boolean(true));
        r = varlink_conn_send(conn, message, conn->server->service->stream_bytes_max);
        if (r == -ENOBUFS)
                varlink_conn_refuse(conn, "TooSlow", "the reader of this stream is too slow");
        else if (r < 0)
                conn->is_dead = true;
        if (r < 0)
                varlink_conn_wake(conn);
        return r;
}

void varlink_reply(struct varlink_call *call, struct json_object *parameters_consume)
{
        _cleanup_(json_object_putp) struct json_object *message = answer_new(parameters_consume);
        struct varlink_conn *conn = call->conn;

        if (!call->is_oneway && !conn->is_closing) {
                size_t bytes_max = conn->server->service->reply_bytes_max;

                if (varlink_conn_send(conn, message, evbuffer_get_length(conn->out) + bytes_max) == -ENOBUFS)
                        varlink_conn_refuse(conn, "ReplyTooLarge", "the answer is larger than the limit");
        }
        call_done(call);
}

static void send_error(struct varlink_conn *conn, const char *name, struct json_object *parameters_consume)
{
        _cleanup_(json_object_putp) struct json_object *message = answer_new(parameters_consume);

        json_object_object_add(message, "error", json_object_new_string(name));
        (void) varlink_conn_send(conn, message, SIZE_MAX);
}

void varlink_error(struct varlink_call *call, const char *name, struct json_object *parameters_consume)
{
        if (call->is_oneway || call->conn->is_closing)
                json_object_put(parameters_consume);
        else
                send_error(call->conn, name, parameters_consume);
        call_done(call);
}

static struct json_object *string_object(const char *member, const char *value)
{
        struct json_object *object = json_object_new_object();

        json_object_object_add(object, member, json_object_new_string(value));
        return object;
}

void varlink_error_parameter(struct varlink_call *call, const char *parameter)
{
        varlink_error(call, VARLINK_ERROR_INVALID_PARAMETER, string_object("parameter", parameter));
}

/* ---- reading a call ---------------------------------------------------------------------------- */

static struct json_object *call_get(const struct varlink_call *call, const char *name)
{
        struct json_object *value = NULL;

        (void) (call->parameters && json_object_object_get_ex(call->parameters, name, &value));
        return value;
}

const char *varlink_call_string(const struct varlink_call *call, const char *name)
{
        return json_object_get_string(call_get(call, name));
}

int64_t varlink_call_int(const struct varlink_call *call, const char *name, int64_t fallback)
{
        struct json_object *value = call_get(call, name);

        return value ? json_object_get_int64(value) : fallback;
}

bool varlink_call_bool(const struct varlink_call *call, const char *name)
{
        return json_object_get_boolean(call_get(call, name));
}

bool varlink_call_wants_more(const struct varlink_call *call)
{
        return call->wants_more;
}

bool varlink_call_is_privileged(const struct varlink_call *call)
{
        return call->conn->is_privileged;
}

static bool field_accepts(const struct varlink_field *field, struct json_object *value)
{
        switch (field->type) {
        case VARLINK_STRING: {
                int size = json_object_get_string_len(value);

                return json_object_is_type(value, json_type_string) && size >= field->min && size <= field->max &&
                       strlen(json_object_get_string(value)) == (size_t) size;
        }
        case VARLINK_INT:
                return json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= field->min &&
                       json_object_get_int64(value) <= field->max;
        case VARLINK_BOOL:
                return json_object_is_type(value, json_type_boolean);
        }
        return false;
}

/* The name of the first parameter that method does not accept; NULL when all is well. */
static const char *find_bad_parameter(const struct varlink_method *method, const struct varlink_call *call)
{
        for (size_t i = 0; i < method->n_fields; i++) {
                const struct varlink_field *field = &method->fields[i];
                struct json_object *value = call_get(call, field->name);

                if (value ? !field_accepts(field, value) : !field->is_optional)
                        return field->name;
        }
        if (!call->parameters)
                return NULL;
        json_object_object_foreach(call->parameters, name, value) {
                size_t i = 0;

                (void) value;
                while (i < method->n_fields && !streq(method->fields[i].name, name))
                        i++;
                if (i == method->n_fields)
                        return name;
        }
        return NULL;
}

/* Fills in the flags and parameters of the message; returns the name of a member of the wrong type. */
static const char *read_members(struct varlink_call *call, const char **ret_method)
{
        struct json_object *value;
        bool upgrade = false;

        const struct {
                const char *name;
                bool *flag;
        } flags[] = { { "more", &call->wants_more }, { "oneway", &call->is_oneway }, { "upgrade", &upgrade } };

        for (size_t i = 0; i < ELEMENTSOF(flags); i++) {
                if (!json_object_object_get_ex(call->message, flags[i].name, &value) || !value)
                        continue;
                if (!json_object_is_type(value, json_type_boolean))
                        return flags[i].name;
                *flags[i].flag = json_object_get_boolean(value);
        }
        if (upgrade)
                return "upgrade";
        if (call->is_oneway)
                call->wants_more = false;
        if (json_object_object_get_ex(call->message, "parameters", &value) && value) {
                if (!json_object_is_type(value, json_type_object))
                        return "parameters";
                call->parameters = value;
        }
        if (!json_object_object_get_ex(call->message, "method", &value) ||
            !json_object_is_type(value, json_type_string))
                return "method";
        *ret_method = json_object_get_string(value);
        return NULL;
}

/* ---- org.varlink.service ----------------------------------------------------------------------- */

static void on_get_info(struct varlink_call *call, void *userdata)
{
        const struct varlink_service *service = ((struct varlink_server *) userdata)->service;
        struct json_object *info = json_object_new_object(), *interfaces = json_object_new_array();

        json_object_array_add(interfaces, json_object_new_string(VARLINK_SERVICE));
        json_object_array_add(interfaces, json_object_new_string(service->interface));
        json_object_object_add(info, "vendor", json_object_new_string(service->vendor));
        json_object_object_add(info, "product", json_object_new_string(service->product));
        json_object_object_add(info, "version", json_object_new_string(service->version));
        json_object_object_add(info, "url", json_object_new_string(service->url));
        json_object_object_add(info, "interfaces", interfaces);
        varlink_reply(call, info);
}

static void on_get_interface_description(struct varlink_call *call, void *userdata)
{
        const struct varlink_service *service = ((struct varlink_server *) userdata)->service;
        const char *interface = varlink_call_string(call, "interface"), *description = NULL;

        if (streq(interface, VARLINK_SERVICE))
                description = service_description;
        else if (streq(interface, service->interface))
                description = service->description;
        if (description)
                varlink_reply(call, string_object("description", description));
        else
                varlink_error(call, VARLINK_ERROR_INTERFACE_NOT_FOUND, string_object("interface", interface));
}

static const struct varlink_field interface_fields[] = {
        { .name = "interface", .type = VARLINK_STRING, .min = 1, .max = INTERFACE_SIZE - 1 },
};

static const struct varlink_method service_methods[] = {
        { .name = "GetInfo", .handler = on_get_info },
        {
                .name = "GetInterfaceDescription",
                .fields = interface_fields,
                .n_fields = ELEMENTSOF(interface_fields),
                .handler = on_get_interface_description,
        },
};

/* ---- finding the method ------------------------------------------------------------------------ */

static const struct varlink_method *find_method(struct varlink_call *call, const char *name, void **ret_userdata)
{
        struct varlink_server *server = call->conn->server;
        const struct varlink_service *service = server->service;
        const char *short_name;
        char wanted[INTERFACE_SIZE];

        const struct interface interfaces[] = {
                { .name = VARLINK_SERVICE, .methods = service_methods, .n_methods = ELEMENTSOF(service_methods),
                  .userdata = server },
                { .name = service->interface, .methods = service->methods, .n_methods = service->n_methods,
                  .userdata = server->userdata },
        };

        if (varlink_split_method(name, wanted, sizeof(wanted), &short_name) < 0) {
                varlink_error_parameter(call, "method");
                return NULL;
        }
        for (size_t i = 0; i < ELEMENTSOF(interfaces); i++) {
                const struct interface *interface = &interfaces[i];

                if (!streq(interface->name, wanted))
                        continue;
                *ret_userdata = interface->userdata;
                for (size_t j = 0; j < interface->n_methods; j++)
                        if (streq(interface->methods[j].name, short_name))
                                return &interface->methods[j];
                varlink_error(call, VARLINK_ERROR_METHOD_NOT_FOUND, string_object("method", name));
                return NULL;
        }
        varlink_error(call, VARLINK_ERROR_INTERFACE_NOT_FOUND, string_object("interface", wanted));
        return NULL;
}

static void call_run(struct varlink_call *call, const char *name)
{
        const struct varlink_method *method;
        const char *bad;
        void *userdata;

        method = find_method(call, name, &userdata);
        if (!method)
                return;
        bad = find_bad_parameter(method, call);
        if ((method->flags & VARLINK_PRIVILEGED) && !call->conn->is_privileged)
                varlink_error(call, VARLINK_ERROR_PERMISSION_DENIED, NULL);
        else if (bad)
                varlink_error_parameter(call, bad);
        else if ((method->flags & VARLINK_NEEDS_MORE) && !call->wants_more)
                varlink_error(call, VARLINK_ERROR_EXPECTED_MORE, NULL);
        else
                method->handler(call, userdata);
}

void varlink_call_dispatch(struct varlink_conn *conn, const char *text, size_t size)
{
        struct varlink_call *call;
        const char *why = NULL, *bad, *method = NULL;
        int r;

        call = calloc(1, sizeof(*call));
        if (!call) {
                conn->is_dead = true;
                return;
        }
        call->conn = conn;
        r = varlink_parse(text, size, &call->message, &why);
        if (r < 0) {
                varlink_conn_refuse(conn, "BadMessage", r == -EBADMSG ? why : strerror(-r));
                call_free(call);
                return;
        }
        conn->call = call;
        bad = read_members(call, &method);
        if (bad)
                varlink_error_parameter(call, bad);
        else
                call_run(call, method);
}
