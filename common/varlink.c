#include "common/varlink.h"

#include <json-c/json.h>
#include <limits.h>

static int parse_failed(const char **ret_why, const char *why)
{
        if (ret_why)
                *ret_why = why;
        return -EBADMSG;
}

int varlink_parse(const char *text, size_t size, struct json_object **ret, const char **ret_why)
{
        struct json_tokener *tokener;
        struct json_object *object;
        enum json_tokener_error error;

        if (size >= INT_MAX)
                return parse_failed(ret_why, "the message is too large");
        tokener = json_tokener_new_ex(VARLINK_DEPTH_MAX);
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        object = json_tokener_parse_ex(tokener, text, (int) size + 1);
        error = json_tokener_get_error(tokener);
        json_tokener_free(tokener);

        if (error == json_tokener_error_depth)
                return parse_failed(ret_why, "the message is nested too deeply");
        if (error == json_tokener_error_parse_eof)
                return parse_failed(ret_why, "the message is not a complete JSON object");
        if (error != json_tokener_success)
                return parse_failed(ret_why, "the message is not valid JSON");
        if (!json_object_is_type(object, json_type_object)) {
                json_object_put(object);
                return parse_failed(ret_why, "the message is not one JSON object");
        }
        *ret = object;
        return 0;
}

int varlink_split_method(const char *name, char *interface, size_t interface_size, const char **ret_method)
{
        const char *dot = strrchr(name, '.');
        size_t size;

        if (!dot || dot == name || dot[1] == '\0')
                return -EINVAL;
        size = (size_t) (dot - name);
        if (size >= interface_size)
                return -ENAMETOOLONG;
        memcpy(interface, name, size);
        interface[size] = '\0';
        *ret_method = dot + 1;
        return 0;
}
