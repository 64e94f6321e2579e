#include "common/log.h"

#include "common/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#define LINE_BYTES_MAX 2048

/* The one piece of process-wide state outside the root object: where lines go. */
static struct {
        const char *program;
        int level;
        struct journal *journal; /* NULL: standard error */
} sink = { .program = "envmux", .level = LOG_INFO };

/* JOURNAL_STREAM is inherited; standard error may have been redirected since. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
               st.st_dev == device && st.st_ino == inode;
}

static void journal_open(const char *program)
{
        const char *path = getenv("ENVMUX_JOURNAL");

        if (!path && stderr_is_journal())
                path = JOURNAL_SOCKET;
        if (path && !sink.journal)
                (void) journal_new(path, program, &sink.journal); /* without memory: standard error */
}

void log_init(const char *program)
{
        static const char *const names[] = {
                [LOG_ERR] = "err", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
                [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
        };
        const char *wanted = getenv("ENVMUX_LOG");

        sink.program = program;
        for (int i = LOG_ERR; wanted && i <= LOG_DEBUG; i++)
                if (streq(wanted, names[i]))
                        sink.level = i;
        journal_open(program);
}

struct journal *log_journal(void)
{
        return sink.journal;
}

bool log_enabled(int priority)
{
        return priority <= sink.level;
}

static void write_journal(int priority, const struct log_field *fields, size_t n, const char *text, size_t size)
{
        struct journal_field all[3 + LOG_FIELDS_MAX];
        const char level[] = { (char) ('0' + priority), '\0' };
        size_t used = 0;

        all[used++] = (struct journal_field) { "MESSAGE", text, size };
        all[used++] = journal_text("PRIORITY", level);
        all[used++] = journal_text("SYSLOG_IDENTIFIER", sink.program);
        for (size_t i = 0; i < MIN_OF(n, (size_t) LOG_FIELDS_MAX); i++)
                all[used++] = journal_text(fields[i].name, fields[i].value);
        (void) journal_send(sink.journal, all, used);
}

/* What does not fit is cut. Returns the new number of bytes in line. */
static size_t _printf_(3, 0) append(char line[static LINE_BYTES_MAX], size_t used, const char *format, va_list ap)
{
        int n = vsnprintf(line + used, LINE_BYTES_MAX - 1 - used, format, ap);

        return n < 0 ? used : MIN_OF(used + (size_t) n, (size_t) LINE_BYTES_MAX - 2);
}

static size_t _printf_(3, 4) appendf(char line[static LINE_BYTES_MAX], size_t used, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        used = append(line, used, format, ap);
        va_end(ap);
        return used;
}

static void _printf_(5, 0) log_write(int priority, int error, const struct log_field *fields, size_t n,
                                     const char *format, va_list ap)
{
        char line[LINE_BYTES_MAX];
        size_t used = sink.journal ? 0 : appendf(line, 0, "%s: ", sink.program);

        used = append(line, used, format, ap);
        if (error)
                used = appendf(line, used, ": %s", strerror(abs(error)));
        if (sink.journal) {
                write_journal(priority, fields, n, line, used);
                return;
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
        log_write(priority, 0, NULL, 0, format, ap);
        va_end(ap);
        errno = saved;
}

void log_fields(int priority, const struct log_field *fields, size_t n, const char *format, ...)
{
        int saved = errno;
        va_list ap;

        if (!log_enabled(priority))
                return;
        va_start(ap, format);
        log_write(priority, 0, fields, n, format, ap);
        va_end(ap);
        errno = saved;
}

int log_line_errno(int priority, int error, const char *format, ...)
{
        int saved = errno;
        va_list ap;

        if (log_enabled(priority)) {
                va_start(ap, format);
                log_write(priority, error, NULL, 0, format, ap);
                va_end(ap);
        }
        errno = saved;
        return error;
}
