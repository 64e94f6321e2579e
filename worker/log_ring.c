#include "worker/log_ring.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/queue.h>

struct entry {
        TAILQ_ENTRY(entry) link;
        uint64_t number;
        enum log_source source;
        size_t size;
        char text[];
};
TAILQ_HEAD(entry_list, entry);

struct partial {
        char text[LOG_LINE_BYTES_MAX];
        size_t size;
};

struct log_ring {
        struct entry_list entries;
        size_t bytes, bytes_max;
        uint64_t next;
        struct partial *partials[LOG_SOURCE__MAX]; /* made when first needed */
        struct {
                void (*on_added)(void *userdata);
                void *userdata;
        } readers[LOG_READER__MAX];
};

int log_ring_new(size_t bytes_max, struct log_ring **ret)
{
        struct log_ring *ring = calloc(1, sizeof(*ring));

        if (!ring)
                return -ENOMEM;
        TAILQ_INIT(&ring->entries);
        ring->bytes_max = bytes_max;
        *ret = ring;
        return 0;
}

static size_t entry_cost(const struct entry *entry)
{
        return sizeof(*entry) + entry->size;
}

static void drop_oldest(struct log_ring *ring)
{
        struct entry *entry = TAILQ_FIRST(&ring->entries);

        TAILQ_REMOVE(&ring->entries, entry, link);
        ring->bytes -= entry_cost(entry);
        free(entry);
}

struct log_ring *log_ring_free(struct log_ring *ring)
{
        if (!ring)
                return NULL;
        while (!TAILQ_EMPTY(&ring->entries))
                drop_oldest(ring);
        for (size_t i = 0; i < LOG_SOURCE__MAX; i++)
                free(ring->partials[i]);
        free(ring);
        return NULL;
}

void log_ring_set_notify(struct log_ring *ring, enum log_reader reader, void (*on_added)(void *userdata),
                         void *userdata)
{
        ring->readers[reader].on_added = on_added;
        ring->readers[reader].userdata = userdata;
}

/* Without memory the line is lost and its number shows that. */
static void add_piece(struct log_ring *ring, enum log_source source, const char *text, size_t size)
{
        struct entry *entry = malloc(sizeof(*entry) + size);
        uint64_t number = ring->next++;

        if (!entry)
                return;
        entry->number = number;
        entry->source = source;
        entry->size = size;
        memcpy(entry->text, text, size);
        TAILQ_INSERT_TAIL(&ring->entries, entry, link);
        ring->bytes += entry_cost(entry);
        while (ring->bytes > ring->bytes_max)
                drop_oldest(ring);
}

static void add_line(struct log_ring *ring, enum log_source source, const char *text, size_t size)
{
        if (size > 0 && text[size - 1] == '\r')
                size--;
        do {
                size_t piece = MIN_OF(size, LOG_LINE_BYTES_MAX);

                add_piece(ring, source, text, piece);
                text += piece;
                size -= piece;
        } while (size > 0);
}

static void notify(const struct log_ring *ring)
{
        for (size_t i = 0; i < LOG_READER__MAX; i++)
                if (ring->readers[i].on_added)
                        ring->readers[i].on_added(ring->readers[i].userdata);
}

void log_ring_add(struct log_ring *ring, enum log_source source, const char *text, size_t size)
{
        add_line(ring, source, text, size);
        notify(ring);
}

void log_ring_addf(struct log_ring *ring, enum log_source source, const char *format, ...)
{
        char line[512];
        va_list ap;

        va_start(ap, format);
        int n = vsnprintf(line, sizeof(line), format, ap);

        va_end(ap);
        if (n > 0)
                log_ring_add(ring, source, line, MIN_OF((size_t) n, sizeof(line) - 1));
}

/* Moves the start of data into the partial line; false when no memory for it exists. */
static bool partial_append(struct log_ring *ring, enum log_source source, const char *data, size_t size)
{
        struct partial *partial = ring->partials[source];

        if (!partial) {
                partial = ring->partials[source] = malloc(sizeof(*partial));
                if (!partial)
                        return false;
                partial->size = 0;
        }
        while (size > 0) {
                size_t n = MIN_OF(size, sizeof(partial->text) - partial->size);

                memcpy(partial->text + partial->size, data, n);
                partial->size += n;
                data += n;
                size -= n;
                if (partial->size == sizeof(partial->text)) {
                        add_piece(ring, source, partial->text, partial->size);
                        partial->size = 0;
                }
        }
        return true;
}

void log_ring_write(struct log_ring *ring, enum log_source source, const char *data, size_t size)
{
        uint64_t before = ring->next;

        while (size > 0) {
                const char *newline = memchr(data, '\n', size);
                size_t line = newline ? (size_t) (newline - data) : size;
                struct partial *partial = ring->partials[source];

                if (!newline) {
                        partial_append(ring, source, data, line);
                        break;
                }
                if (partial && partial->size > 0) {
                        partial_append(ring, source, data, line);
                        if (partial->size > 0)
                                add_line(ring, source, partial->text, partial->size);
                        partial->size = 0;
                } else {
                        add_line(ring, source, data, line);
                }
                data += line + 1;
                size -= line + 1;
        }
        if (ring->next != before)
                notify(ring);
}

void log_ring_flush(struct log_ring *ring, enum log_source source)
{
        struct partial *partial = ring->partials[source];

        if (!partial || partial->size == 0)
                return;
        size_t size = partial->size;

        partial->size = 0;
        log_ring_add(ring, source, partial->text, size);
}

uint64_t log_ring_first(const struct log_ring *ring)
{
        const struct entry *first = TAILQ_FIRST(&ring->entries);

        return first ? first->number : ring->next;
}

uint64_t log_ring_next(const struct log_ring *ring)
{
        return ring->next;
}

/* Readers mostly want the newest lines: the search goes from that end. */
static const struct entry *find(const struct log_ring *ring, uint64_t number)
{
        const struct entry *found = NULL, *entry;

        TAILQ_FOREACH_REVERSE(entry, &ring->entries, entry_list, link) {
                if (entry->number < number)
                        break;
                found = entry;
        }
        return found;
}

size_t log_ring_collect(const struct log_ring *ring, uint64_t number, char *buf, size_t buf_size,
                        enum log_source *ret_source, uint64_t *ret_first, uint64_t *ret_after)
{
        const struct entry *entry = find(ring, number);
        size_t used = 0;

        if (!entry)
                return 0;
        *ret_source = entry->source;
        *ret_first = entry->number;
        for (; entry && entry->source == *ret_source && used + entry->size + 1 <= buf_size;
             entry = TAILQ_NEXT(entry, link)) {
                memcpy(buf + used, entry->text, entry->size);
                used += entry->size;
                buf[used++] = '\n';
                *ret_after = entry->number + 1;
        }
        return used;
}

int log_ring_tail(const struct log_ring *ring, size_t lines_max, size_t bytes_max, char ***ret)
{
        char **lines = calloc(lines_max + 1, sizeof(*lines));
        const struct entry *entry;
        size_t n = 0;

        if (!lines)
                return -ENOMEM;
        TAILQ_FOREACH_REVERSE(entry, &ring->entries, entry_list, link) {
                if (entry->source != LOG_STDERR)
                        continue;
                if (n == lines_max || entry->size > bytes_max)
                        break;
                lines[n] = strndup(entry->text, entry->size);
                if (!lines[n])
                        break;
                bytes_max -= entry->size;
                n++;
        }
        for (size_t i = 0; i < n / 2; i++) {
                char *swap = lines[i];

                lines[i] = lines[n - 1 - i];
                lines[n - 1 - i] = swap;
        }
        *ret = lines;
        return 0;
}

void log_ring_tail_free(char **lines)
{
        for (size_t i = 0; lines && lines[i]; i++)
                free(lines[i]);
        free(lines);
}
