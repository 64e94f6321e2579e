/* The last lines a backend wrote to standard error, and those on standard output that were not
 * messages. Bounded by bytes: the oldest lines make room, so that a flood costs CPU, never memory,
 * and never blocks the backend. Lines are numbered; a reader that falls behind learns how many it
 * lost. */
#pragma once

#include "common/macro.h"

#define LOG_LINE_BYTES_MAX 8192u /* a longer line is stored in pieces */

enum log_source {
        LOG_STDERR,
        LOG_STDOUT,
        LOG_SOURCE__MAX,
};

struct log_ring;

/* bytes_max counts the lines and their bookkeeping. */
int log_ring_new(size_t bytes_max, struct log_ring **ret);
struct log_ring *log_ring_free(struct log_ring *ring);
DEFINE_CLEANUP(struct log_ring, log_ring_free)

/* Called after lines were added; one function for each reader. */
enum log_reader {
        LOG_READER_FEED,    /* `envmux logs --follow` */
        LOG_READER_JOURNAL,
        LOG_READER__MAX,
};
void log_ring_set_notify(struct log_ring *ring, enum log_reader reader, void (*on_added)(void *userdata),
                         void *userdata);

/* Adds one whole line (without its newline). */
void log_ring_add(struct log_ring *ring, enum log_source source, const char *text, size_t size);
void log_ring_addf(struct log_ring *ring, enum log_source source, const char *format, ...) _printf_(3, 4);

/* Adds bytes of a stream: whole lines enter the ring, the rest waits for its newline. */
void log_ring_write(struct log_ring *ring, enum log_source source, const char *data, size_t size);

/* The stream ended: what waits for a newline becomes a line. */
void log_ring_flush(struct log_ring *ring, enum log_source source);

/* Number of the first line held, and of the line that comes next. */
uint64_t log_ring_first(const struct log_ring *ring);
uint64_t log_ring_next(const struct log_ring *ring);

/* Copies lines from number on, as many of one source as fit into buf, each with a newline. Returns
 * the bytes (0: there is no such line yet); *ret_source is theirs, *ret_first the number of the first
 * (above number when lines were lost), *ret_after the number to go on with. */
size_t log_ring_collect(const struct log_ring *ring, uint64_t number, char *buf, size_t buf_size,
                        enum log_source *ret_source, uint64_t *ret_first, uint64_t *ret_after);

/* The newest lines of standard error, oldest first, NULL-terminated, at most lines_max and
 * bytes_max together; *ret is freed with log_ring_tail_free. */
int log_ring_tail(const struct log_ring *ring, size_t lines_max, size_t bytes_max, char ***ret);
void log_ring_tail_free(char **lines);
