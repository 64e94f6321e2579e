#include "common/varlink_internal.h"

#include <json-c/json.h>
#include <stdio.h>

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

static void writer_drop(struct json_writer *writer)
{
        if (writer)
                json_writer_done(writer);
}

int varlink_reply_continue(struct varlink_call *call, struct json_writer *parameters)
{
        struct varlink_conn *conn = call->conn;
        int r;

        assert(call->wants_more);
        if (conn->is_closing) {
                writer_drop(parameters);
                return -EPIPE;
        }
        r = varlink_conn_send(conn, "{\"parameters\":", parameters, ",\"continues\":true}",
                              conn->server->service->stream_bytes_max);
        if (r == -ENOBUFS)
                varlink_conn_refuse(conn, "TooSlow", "the reader of this stream is too slow");
        return r;
}

/* A final answer is measured by itself: what waits before it has been measured already. */
static void call_finish(struct varlink_call *call, const char *head, struct json_writer *parameters)
{
        struct varlink_conn *conn = call->conn;
        size_t bytes_max = evbuffer_get_length(conn->out) + conn->server->service->reply_bytes_max;

        if (call->is_oneway || conn->is_closing)
                writer_drop(parameters);
        else if (varlink_conn_send(conn, head, parameters, "}", bytes_max) == -ENOBUFS)
                varlink_conn_refuse(conn, "ReplyTooLarge", "the answer is larger than the limit");
        conn->call = NULL;
        call_free(call);
        varlink_conn_wake(conn);
}

void varlink_reply(struct varlink_call *call, struct json_writer *parameters)
{
        call_finish(call, "{\"parameters\":", parameters);
}

void varlink_error(struct varlink_call *call, const char *name, struct json_writer *parameters)
{
        char head[INTERFACE_SIZE + 64];

        snprintf(head, sizeof(head), "{\"error\":\"%s\",\"parameters\":", name);
        call_finish(call, head, parameters);
}

/* {member: value} */
static void write_member(struct json_writer *writer, const char *member, const char *value)
{
        json_writer_text(writer, "{");
        json_writer_string(writer, member);
        json_writer_text(writer, ":");
        json_writer_string(writer, value);
        json_writer_text(writer, "}");
}

static void error_with_member(struct varlink_call *call, const char *error, const char *member, const char *value)
{
        struct json_writer parameters = { .data = NULL };

        write_member(&parameters, member, value);
        varlink_error(call, error, &parameters);
}

void varlink_error_parameter(struct varlink_call *call, const char *parameter)
{
        error_with_member(call, VARLINK_ERROR_INVALID_PARAMETER, "parameter", parameter);
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

bool varlink_call_bool(const struct varlink_call *call, const char *name, bool fallback)
{
        struct json_object *value = call_get(call, name);

        return value ? json_object_get_boolean(value) : fallback;
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
        struct json_writer info = { .data = NULL };

        const struct {
                const char *name, *value;
        } members[] = {
                { "vendor", service->vendor },
                { "product", service->product },
                { "version", service->version },
                { "url", service->url },
        };

        json_writer_text(&info, "{");
        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                json_writer_string(&info, members[i].name);
                json_writer_text(&info, ":");
                json_writer_string(&info, members[i].value);
                json_writer_text(&info, ",");
        }
        json_writer_format(&info, "\"interfaces\":[\"%s\",\"%s\"]}", VARLINK_SERVICE, service->interface);
        varlink_reply(call, &info);
}

static void on_get_interface_description(struct varlink_call *call, void *userdata)
{
        const struct varlink_service *service = ((struct varlink_server *) userdata)->service;
        const char *interface = varlink_call_string(call, "interface"), *description = NULL;
        struct json_writer answer = { .data = NULL };

        if (streq(interface, VARLINK_SERVICE))
                description = service_description;
        else if (streq(interface, service->interface))
                description = service->description;
        if (!description) {
                error_with_member(call, VARLINK_ERROR_INTERFACE_NOT_FOUND, "interface", interface);
                return;
        }
        write_member(&answer, "description", description);
        varlink_reply(call, &answer);
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
                error_with_member(call, VARLINK_ERROR_METHOD_NOT_FOUND, "method", name);
                return NULL;
        }
        error_with_member(call, VARLINK_ERROR_INTERFACE_NOT_FOUND, "interface", wanted);
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
