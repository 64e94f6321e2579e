/* Varlink (https://varlink.org): what both ends share. A message is one JSON object followed by a
 * NUL byte, on a Unix stream socket:
 *   call   {"method": "interface.Method", "parameters": {…}, "oneway"|"more": true}
 *   reply  {"parameters": {…}, "continues": true} or {"error": "interface.Error", "parameters": {…}}
 * The server is in varlink_server.h, the client in varlink_client.h. */
#pragma once

#include "common/macro.h"

struct json_object;
/* _cleanup_(json_object_putp) drops a reference; json_object_put comes from <json-c/json.h>. */
int json_object_put(struct json_object *object);
DEFINE_CLEANUP(struct json_object, json_object_put)

#define VARLINK_DEPTH_MAX 32 /* nesting of a received message */

/* The service interface's errors (its description: org.varlink.service.varlink). */
#define VARLINK_SERVICE "org.varlink.service"
#define VARLINK_ERROR_INTERFACE_NOT_FOUND VARLINK_SERVICE ".InterfaceNotFound"
#define VARLINK_ERROR_METHOD_NOT_FOUND VARLINK_SERVICE ".MethodNotFound"
#define VARLINK_ERROR_INVALID_PARAMETER VARLINK_SERVICE ".InvalidParameter"
#define VARLINK_ERROR_PERMISSION_DENIED VARLINK_SERVICE ".PermissionDenied"
#define VARLINK_ERROR_EXPECTED_MORE VARLINK_SERVICE ".ExpectedMore"

/* Parses text (size bytes before its NUL byte) as exactly one JSON object. -EBADMSG: it is not one, is not
 * UTF-8, or is nested deeper than VARLINK_DEPTH_MAX; *ret_why, which may be NULL, then points at a
 * static sentence. */
int varlink_parse(const char *text, size_t size, struct json_object **ret, const char **ret_why);

/* Splits "a.b.Method" at its last dot: interface is copied, *ret_method points into name. -EINVAL:
 * there is no dot, or a part is empty; -ENAMETOOLONG: interface does not fit. */
int varlink_split_method(const char *name, char *interface, size_t interface_size, const char **ret_method);
