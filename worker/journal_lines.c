#include "worker/journal_lines.h"

#include "common/journal.h"
#include "common/log.h"

#define CHUNK_BYTES (2 * LOG_LINE_BYTES_MAX)

struct journal_lines {
        struct event_base *base;
        struct log_ring *ring;
        const struct spec *spec;
        struct event *writable; /* while the journal's queue is full */
        uint64_t next;          /* number of the line to go on with */
};

static int offer(const struct journal_lines *lines, enum log_source source, const char *text, size_t size)
{
        const struct spec *spec = lines->spec;
        int asked = source == LOG_STDOUT ? LOG_NOTICE : journal_priority(&text, &size, LOG_INFO);
        int priority = MAX_OF(asked, LOG_CRIT); /* what is more than that is told to every terminal of the machine */
        const char level[] = { (char) ('0' + priority), '\0' };
        const struct journal_field fields[] = {
                { "MESSAGE", text, size },
                journal_text("PRIORITY", level),
                journal_text("SYSLOG_IDENTIFIER", spec->server),
                journal_text("ENVMUX_SERVER", spec->server),
                journal_text("ENVMUX_SESSION", spec->id),
                journal_text("ENVMUX_STREAM", source == LOG_STDOUT ? "stdout" : "stderr"),
        };

        /* The journal has no use for empty lines. */
        return size > 0 ? journal_offer(log_journal(), fields, ELEMENTSOF(fields)) : 0;
}

/* Offers whole lines, the first of which is number lines->next. False: the journal takes no more now. */
static bool offer_all(struct journal_lines *lines, enum log_source source, const char *text, size_t size)
{
        for (const char *end = text + size, *newline; text < end; text = newline + 1) {
                newline = memchr(text, '\n', (size_t) (end - text));
                if (offer(lines, source, text, (size_t) (newline - text)) == -EAGAIN)
                        return false;
                lines->next++;
        }
        return true;
}

static void on_writable(evutil_socket_t fd, short what, void *userdata);

static void wait_writable(struct journal_lines *lines)
{
        if (lines->writable)
                event_free(lines->writable);
        lines->writable = event_new(lines->base, journal_fd(log_journal()), EV_WRITE, on_writable, lines);
        if (lines->writable)
                event_add(lines->writable, NULL); /* else the next line tries again */
}

static void pump(struct journal_lines *lines)
{
        char chunk[CHUNK_BYTES];
        enum log_source source;
        uint64_t first, after;
        size_t size;

        while ((size = log_ring_collect(lines->ring, lines->next, chunk, sizeof(chunk), &source, &first, &after)) > 0) {
                if (first > lines->next)
                        journal_count_lost(log_journal(), first - lines->next);
                lines->next = first;
                if (!offer_all(lines, source, chunk, size)) {
                        wait_writable(lines);
                        return;
                }
                lines->next = after;
        }
}

static void on_writable(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        pump(userdata);
}

static void on_added(void *userdata)
{
        struct journal_lines *lines = userdata;

        if (!lines->writable || !event_pending(lines->writable, EV_WRITE, NULL))
                pump(lines);
}

int journal_lines_new(struct event_base *base, struct log_ring *ring, const struct spec *spec,
                      struct journal_lines **ret)
{
        struct journal_lines *lines;

        if (!log_journal()) {
                *ret = NULL;
                return 0;
        }
        lines = calloc(1, sizeof(*lines));
        if (!lines)
                return -ENOMEM;
        lines->base = base;
        lines->ring = ring;
        lines->spec = spec;
        lines->next = log_ring_first(ring);
        log_ring_set_notify(ring, LOG_READER_JOURNAL, on_added, lines);
        *ret = lines;
        return 0;
}

struct journal_lines *journal_lines_free(struct journal_lines *lines)
{
        if (!lines)
                return NULL;
        log_ring_set_notify(lines->ring, LOG_READER_JOURNAL, NULL, NULL);
        if (lines->writable)
                event_free(lines->writable);
        free(lines);
        return NULL;
}
