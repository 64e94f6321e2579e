#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/uio.h>

/* The one piece of process-wide state outside the root object: where lines go. */
static struct {
        const char *program;
        int level;
        bool priority_prefix;
} sink = { .program = "envmux", .level = LOG_INFO };

void log_init(const char *program)
{
        static const char *const names[] = {
                [LOG_ERR] = "err", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
                [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
        };
        const char *wanted = getenv("ENVMUX_LOG");

        sink.program = program;
        sink.priority_prefix = getenv("JOURNAL_STREAM") != NULL;
        for (int i = LOG_ERR; wanted && i <= LOG_DEBUG; i++)
                if (streq(wanted, names[i]))
                        sink.level = i;
}

bool log_enabled(int priority)
{
        return priority <= sink.level;
}

static void _printf_(3, 0) log_write(int priority, int error, const char *format, va_list ap)
{
        char line[2048];
        size_t used = 0;
        int n = 0;

        if (sink.priority_prefix)
                n = snprintf(line, sizeof(line), "<%d>", priority);
        else
                n = snprintf(line, sizeof(line), "%s: ", sink.program);
        used = (size_t) n;
        n = vsnprintf(line + used, sizeof(line) - used - 1, format, ap);
        if (n > 0)
                used = MIN_OF(used + (size_t) n, sizeof(line) - 2);
        if (error) {
                n = snprintf(line + used, sizeof(line) - used - 1, ": %s", strerror(abs(error)));
                if (n > 0)
                        used = MIN_OF(used + (size_t) n, sizeof(line) - 2);
        }
        line[used++] = '\n';
        (void) !write(STDERR_FILENO, line, used);
}

void log_line(int priority, const char *format, ...)
{
        int saved = errno;
        va_list ap;

        if (!log_enabled(priority))
                return;
        va_start(ap, format);
        log_write(priority, 0, format, ap);
        va_end(ap);
        errno = saved;
}

int log_line_errno(int priority, int error, const char *format, ...)
{
        int saved = errno;
        va_list ap;

        if (log_enabled(priority)) {
                va_start(ap, format);
                log_write(priority, error, format, ap);
                va_end(ap);
        }
        errno = saved;
        return error;
}
