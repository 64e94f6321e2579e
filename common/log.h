/* One line per event: an entry of the journal where standard error is the journal's, else a line on standard error.
 *
 * Only code that decides logs above debug; libraries return an error and stay quiet. */
#pragma once

#include "common/macro.h"

#include <syslog.h>

struct journal;

/* A field of an entry in the journal, beside its text; value NULL: left out. */
struct log_field {
        const char *name, *value;
};

/* program is kept, not copied. The level comes from ENVMUX_LOG (err, warning, notice, info, debug;
 * default info). JOURNAL_STREAM, where it names our standard error (systemd.exec(5)), or ENVMUX_JOURNAL, the path
 * of a journal's socket, send lines to the journal. */
void log_init(const char *program);

/* The journal that lines go to; NULL where they go to standard error. Borrowed. */
struct journal *log_journal(void);

/* True when a line of this priority would be written: guards work done only for the log. */
bool log_enabled(int priority);

void log_line(int priority, const char *format, ...) _printf_(2, 3);

/* log_line with fields for the journal, at most LOG_FIELDS_MAX; elsewhere they are left out. */
#define LOG_FIELDS_MAX 8
void log_fields(int priority, const struct log_field *fields, size_t n, const char *format, ...) _printf_(4, 5);

/* Logs "…: strerror(-error)" and returns error, so that `return log_errno(r, …)` forwards it. */
int log_line_errno(int priority, int error, const char *format, ...) _printf_(3, 4);

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                  \
        do {                                            \
                if (log_enabled(LOG_DEBUG))             \
                        log_line(LOG_DEBUG, __VA_ARGS__); \
        } while (0)
#define log_errno(error, ...) log_line_errno(LOG_ERR, (error), __VA_ARGS__)
#define log_warning_errno(error, ...) log_line_errno(LOG_WARNING, (error), __VA_ARGS__)
