#include "supervisor/log_event.h"

#include "supervisor/session.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
        int priority;
        const char *id;
} events[LOG_EVENT__MAX] = {
#define LOG_EVENT(NAME, level, message_id) [LOG_EVENT_##NAME] = { .priority = level, .id = message_id },
#include "supervisor/log_events.def"
#undef LOG_EVENT
};

static void _printf_(4, 0) write_event(enum log_event event, const char *server, const struct session *s,
                                       const char *format, va_list ap)
{
        const struct log_field fields[] = {
                { "MESSAGE_ID", events[event].id },
                { "ENVMUX_SERVER", server },
                { "ENVMUX_SESSION", s ? s->record.id : NULL },
                { "ENVMUX_REASON", s && s->end_reason != REASON__MAX ? reason_to_string(s->end_reason) : NULL },
        };
        _cleanup_free_ char *text = NULL;

        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        if (text && s)
                log_fields(events[event].priority, fields, ELEMENTSOF(fields), "session %s: %s", s->record.id, text);
        else if (text)
                log_fields(events[event].priority, fields, ELEMENTSOF(fields), "%s", text);
}

void log_event(enum log_event event, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        write_event(event, NULL, NULL, format, ap);
        va_end(ap);
}

void log_event_server(enum log_event event, const char *server, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        write_event(event, server, NULL, format, ap);
        va_end(ap);
}

void log_event_session(enum log_event event, const struct session *s, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        write_event(event, s->record.server, s, format, ap);
        va_end(ap);
}
