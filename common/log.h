/* One line per event on standard error, with an <N> priority prefix where the journal reads it.
 *
 * Only code that decides logs above debug; libraries return an error and stay quiet. */
#pragma once

#include "common/macro.h"

#include <syslog.h>

/* program is kept, not copied. The level comes from ENVMUX_LOG (err, warning, notice, info, debug;
 * default info); JOURNAL_STREAM switches the priority prefix on. */
void log_init(const char *program);

/* True when a line of this priority would be written: guards work done only for the log. */
bool log_enabled(int priority);

void log_line(int priority, const char *format, ...) _printf_(2, 3);

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
