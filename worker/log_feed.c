#include "worker/log_feed.h"

#include <sys/queue.h>

#define READERS_MAX 32u
#define FRAME_BYTES (64u * 1024) /* below IPC_BLOB_MAX */
#define QUEUED_BYTES_MAX (256u * 1024)
#define COALESCE_USEC (20 * USEC_PER_MSEC)

struct reader {
        TAILQ_ENTRY(reader) entry;
        uint32_t cookie;
        uint64_t next;  /* number of the line it gets next */
        uint64_t until; /* UINT64_MAX: it follows */
};

struct log_feed {
        struct log_ring *ring;
        struct ipc_channel *channel;
        struct event *pump;
        TAILQ_HEAD(, reader) readers;
        unsigned n_readers;
};

static void reader_free(struct log_feed *feed, struct reader *reader)
{
        TAILQ_REMOVE(&feed->readers, reader, entry);
        feed->n_readers--;
        free(reader);
}

static void send_last(struct log_feed *feed, uint32_t cookie)
{
        struct ipc_log_lines last = { .is_last = 1 };

        (void) IPC_SEND(feed->channel, IPC_LOG_LINES, cookie, &last);
}

/* One frame. True when the reader has more to come now. */
static bool reader_step(struct log_feed *feed, struct reader *reader, char *buf)
{
        struct ipc_log_lines lines = { 0 };
        enum log_source source;
        uint64_t first, after;
        size_t size = 0;

        if (reader->next < reader->until)
                size = log_ring_collect(feed->ring, reader->next, buf, FRAME_BYTES, &source, &first, &after);
        if (size > 0) {
                lines.is_stdout = source == LOG_STDOUT;
                lines.dropped = first - reader->next;
                reader->next = after;
                (void) ipc_send(feed->channel, IPC_LOG_LINES, reader->cookie, &lines, sizeof(lines), buf, size);
        }
        if (reader->next >= reader->until || (size == 0 && reader->until != UINT64_MAX)) {
                send_last(feed, reader->cookie);
                reader_free(feed, reader);
                return false;
        }
        return reader->next < log_ring_next(feed->ring);
}

static void pump_later(struct log_feed *feed)
{
        struct timeval wait = usec_to_timeval(COALESCE_USEC);

        if (!evtimer_pending(feed->pump, NULL))
                event_add(feed->pump, &wait);
}

static void on_pump(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct log_feed *feed = userdata;
        _cleanup_free_ char *buf = malloc(FRAME_BYTES);
        bool more = false;

        if (!feed->channel || !buf)
                return;
        for (struct reader *reader = TAILQ_FIRST(&feed->readers), *next; reader; reader = next) {
                next = TAILQ_NEXT(reader, entry);
                if (ipc_channel_queued_bytes(feed->channel) > QUEUED_BYTES_MAX)
                        more = true;
                else
                        more |= reader_step(feed, reader, buf);
        }
        if (more)
                pump_later(feed);
}

static void on_added(void *userdata)
{
        struct log_feed *feed = userdata;

        if (!TAILQ_EMPTY(&feed->readers))
                pump_later(feed);
}

int log_feed_new(struct event_base *base, struct log_ring *ring, struct log_feed **ret)
{
        struct log_feed *feed = calloc(1, sizeof(*feed));

        if (!feed)
                return -ENOMEM;
        TAILQ_INIT(&feed->readers);
        feed->ring = ring;
        feed->pump = evtimer_new(base, on_pump, feed);
        if (!feed->pump) {
                free(feed);
                return -ENOMEM;
        }
        log_ring_set_notify(ring, LOG_READER_FEED, on_added, feed);
        *ret = feed;
        return 0;
}

struct log_feed *log_feed_free(struct log_feed *feed)
{
        if (!feed)
                return NULL;
        log_ring_set_notify(feed->ring, LOG_READER_FEED, NULL, NULL);
        log_feed_set_channel(feed, NULL);
        event_free(feed->pump);
        free(feed);
        return NULL;
}

void log_feed_set_channel(struct log_feed *feed, struct ipc_channel *channel)
{
        feed->channel = channel;
        while (!channel && !TAILQ_EMPTY(&feed->readers))
                reader_free(feed, TAILQ_FIRST(&feed->readers));
}

void log_feed_get(struct log_feed *feed, uint32_t cookie, const struct ipc_logs_get *get)
{
        uint64_t first = log_ring_first(feed->ring), next = log_ring_next(feed->ring);
        struct reader *reader = feed->n_readers < READERS_MAX ? calloc(1, sizeof(*reader)) : NULL;

        if (!reader) {
                send_last(feed, cookie);
                return;
        }
        reader->cookie = cookie;
        reader->next = get->lines_max > 0 && next - first > get->lines_max ? next - get->lines_max : first;
        reader->until = get->follow ? UINT64_MAX : next;
        TAILQ_INSERT_TAIL(&feed->readers, reader, entry);
        feed->n_readers++;
        event_active(feed->pump, EV_TIMEOUT, 0);
}

void log_feed_cancel(struct log_feed *feed, uint32_t cookie)
{
        for (struct reader *reader = TAILQ_FIRST(&feed->readers), *next; reader; reader = next) {
                next = TAILQ_NEXT(reader, entry);
                if (reader->cookie != cookie)
                        continue;
                send_last(feed, cookie);
                reader_free(feed, reader);
        }
}
