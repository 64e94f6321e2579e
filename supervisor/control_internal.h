/* Shared by the parts of the control socket: control.c has the service and the observer, control_find.c
 * finds the session an ID names, control_methods.c answers questions, and the others hold one method
 * or two each. */
#pragma once

#include "common/varlink_server.h"
#include "supervisor/control.h"
#include "supervisor/supervisor.h"

#include <stdio.h>

#define CONTROL_INTERFACE "io.envmux.Control"
#define CONTROL_ID_SIZE (IPC_SERVER_SIZE + IPC_KEY_SIZE) /* of an ID parameter: SERVER/KEY is the longest */

struct control_list;
struct control_monitor;
struct control_show;
struct control_stop;

struct control {
        struct supervisor *supervisor;
        struct varlink_server *server;
        struct session_observer observer;
        LIST_HEAD(, control_list) lists;
        LIST_HEAD(, control_monitor) monitors;
        LIST_HEAD(, control_show) shows;
        LIST_HEAD(, control_stop) stops;
        struct event *settle_event; /* answers Stop calls after the move that ended their last session */
};

/* The session that the parameter "id" names, live or ended. NULL: none, and the call has been answered
 * with an error. */
struct session *control_find_session(struct control *control, struct varlink_call *call);

/* Appends the session's object, without what only privileged callers may see for others. */
void control_write_session(const struct varlink_call *call, const struct session *session, bool with_usage,
                           struct json_writer *writer);

/* Reads what the sessions use that have not been read since a moment, a few at each call: reading a thousand takes
 * longer than others should wait. at says where to go on, "" at first. True when none is left. */
bool control_usage_read_some(const struct control *control, const char *server, usec_t since_usec,
                             char at[static IPC_ID_SIZE]);
void control_usage_read(struct session *session);

/* Appends "name":"value" to an object, with a comma when something is in it already. NULL values are left out. */
void control_write_string(struct json_writer *writer, const char *name, const char *value);
void control_write_int(struct json_writer *writer, const char *name, int64_t value);
void control_write_bool(struct json_writer *writer, const char *name, bool value);
/* Likewise "name": the value itself to follow. */
void control_write_name(struct json_writer *writer, const char *name);

/* Answers with io.envmux.Control.ERROR and {member: value}. */
void control_error(struct varlink_call *call, const char *error, const char *member, const char *value);

/* What the observer and the settle event lead to. */
void control_monitor_tell(struct control *control, struct session *session, enum session_state old);
void control_list_tell(struct control *control);
void control_show_tell(struct control *control, struct session *session);
void control_stop_settle(struct control *control);

/* Handlers; userdata is the control. */
void control_on_list(struct varlink_call *call, void *userdata);
void control_on_show(struct varlink_call *call, void *userdata);
void control_on_logs(struct varlink_call *call, void *userdata);
void control_on_monitor(struct varlink_call *call, void *userdata);
void control_on_stop(struct varlink_call *call, void *userdata);
void control_on_drain(struct varlink_call *call, void *userdata);
void control_on_reload(struct varlink_call *call, void *userdata);
void control_on_metrics(struct varlink_call *call, void *userdata);
void control_on_servers(struct varlink_call *call, void *userdata);
