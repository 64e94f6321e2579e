/* What a connection still has to write.
 *
 * Small pieces are gathered in one block, so that a head and its body leave in one system call; what
 * the socket does not take moves to a queue and waits there. Large pieces are written from where
 * they are. A failed allocation or write is kept in `error` and everything after it is dropped: the
 * connection looks at it once, when it flushes. */
#pragma once

#include "common/http/http.h"

struct http_out {
        char *hold;             /* gathered bytes, behind those of the queue */
        size_t hold_size, hold_max;
        struct evbuffer *queue; /* what the socket did not take; NULL until that happens */
        size_t queue_bytes;
        uint64_t written_bytes; /* since http_out_mark */
        int error;
};

void http_out_done(struct http_out *out);

/* Adds a copy to the end. */
void http_out_add(struct http_out *out, const void *data, size_t size);

/* Adds size bytes for the caller to fill in at once: NULL when there is no memory. */
char *http_out_extend(struct http_out *out, size_t size);

/* Writes what is gathered, then data straight from where it is, then tail, unless others wait in front. */
void http_out_add_large(struct http_out *out, int fd, struct http_slice data, struct http_slice tail);

/* Moves the contents of buffer to the end. */
void http_out_add_buffer(struct http_out *out, struct evbuffer *buffer);

/* Writes as much as the socket takes. */
void http_out_flush(struct http_out *out, int fd);

/* Drops everything unwritten. */
void http_out_clear(struct http_out *out);

/* Gives back memory while nothing waits. */
void http_out_trim(struct http_out *out);

static inline size_t http_out_size(const struct http_out *out)
{
        return out->hold_size + out->queue_bytes;
}

/* True when bytes wait in front of whatever is added. */
static inline bool http_out_is_queued(const struct http_out *out)
{
        return out->queue_bytes > 0;
}
