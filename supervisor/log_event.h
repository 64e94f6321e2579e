/* The supervisor's events in the log: what has a message id and says which server and session it is about. */
#pragma once

#include "common/log.h"

struct session;

enum log_event {
#define LOG_EVENT(NAME, priority, id) LOG_EVENT_##NAME,
#include "supervisor/log_events.def"
#undef LOG_EVENT
        LOG_EVENT__MAX,
};

/* Of the supervisor as a whole, or, with log_event_server, of one server. */
void log_event(enum log_event event, const char *format, ...) _printf_(2, 3);
void log_event_server(enum log_event event, const char *server, const char *format, ...) _printf_(3, 4);
/* Of one session; the text begins with its id: "session ID: …". */
void log_event_session(enum log_event event, const struct session *session, const char *format, ...) _printf_(3, 4);
