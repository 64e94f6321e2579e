#include "common/http/http_out.h"

#include <sys/socket.h>
#include <sys/uio.h>

#define HOLD_MIN 2048
#define HOLD_MAX (32 * 1024) /* more than this leaves for the queue or the socket */
#define VECTORS_MAX 16

void http_out_done(struct http_out *out)
{
        free(out->hold);
        if (out->queue)
                evbuffer_free(out->queue);
        *out = (struct http_out) {};
}

void http_out_clear(struct http_out *out)
{
        out->hold_size = 0;
        if (out->queue_bytes > 0)
                evbuffer_drain(out->queue, out->queue_bytes);
        out->queue_bytes = 0;
}

static void out_fail(struct http_out *out, int error)
{
        if (out->error == 0)
                out->error = error;
        http_out_clear(out);
}

void http_out_trim(struct http_out *out)
{
        if (http_out_size(out) > 0)
                return;
        free(out->hold);
        out->hold = NULL;
        out->hold_max = 0;
        if (out->queue)
                evbuffer_free(out->queue);
        out->queue = NULL;
}

static bool queue_add(struct http_out *out, const void *data, size_t size)
{
        if (size == 0)
                return true;
        if (!out->queue)
                out->queue = evbuffer_new();
        if (!out->queue || evbuffer_add(out->queue, data, size) < 0) {
                out_fail(out, -ENOMEM);
                return false;
        }
        out->queue_bytes += size;
        return true;
}

static bool hold_to_queue(struct http_out *out)
{
        size_t size = out->hold_size;

        out->hold_size = 0;
        return queue_add(out, out->hold, size);
}

static bool hold_reserve(struct http_out *out, size_t size)
{
        size_t max = MAX_OF(out->hold_max, (size_t) HOLD_MIN);

        if (out->hold_max - out->hold_size >= size)
                return true;
        while (max - out->hold_size < size)
                max *= 2;
        char *bigger = realloc(out->hold, max);

        if (!bigger) {
                out_fail(out, -ENOMEM);
                return false;
        }
        out->hold = bigger;
        out->hold_max = max;
        return true;
}

char *http_out_extend(struct http_out *out, size_t size)
{
        if (out->error < 0 || !hold_reserve(out, size))
                return NULL;
        char *at = out->hold + out->hold_size;

        out->hold_size += size;
        return at;
}

void http_out_add(struct http_out *out, const void *data, size_t size)
{
        if (out->hold_size + size > HOLD_MAX && out->error == 0) {
                (void) (hold_to_queue(out) && queue_add(out, data, size));
                return;
        }
        char *at = http_out_extend(out, size);

        if (at && size > 0)
                memcpy(at, data, size);
}

/* Bytes taken, 0 when the socket is full; negative errno when it is broken. */
static ssize_t out_write(struct http_out *out, int fd, struct iovec *vectors, int n_vectors)
{
        struct msghdr message = { .msg_iov = vectors, .msg_iovlen = (size_t) n_vectors };
        const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
        ssize_t n = n_vectors == 1 ? send(fd, vectors->iov_base, vectors->iov_len, flags)
                                   : sendmsg(fd, &message, flags);

        if (n < 0) {
                if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
                        return 0;
                int error = -errno;

                out_fail(out, error);
                return error;
        }
        out->written_bytes += (uint64_t) n;
        return n;
}

void http_out_add_large(struct http_out *out, int fd, struct http_slice data, struct http_slice tail)
{
        if (out->error < 0)
                return;
        if (http_out_is_queued(out)) {
                http_out_add(out, data.data, data.size);
                http_out_add(out, tail.data, tail.size);
                return;
        }
        struct iovec vectors[] = {
                { out->hold, out->hold_size },
                { (void *) (uintptr_t) data.data, data.size },
                { (void *) (uintptr_t) tail.data, tail.size },
        };
        ssize_t n = out_write(out, fd, vectors, ELEMENTSOF(vectors));
        size_t taken = n > 0 ? (size_t) n : 0;

        if (n < 0)
                return;
        out->hold_size = 0;
        for (size_t i = 0; i < ELEMENTSOF(vectors); i++) {
                size_t of_this = MIN_OF(taken, vectors[i].iov_len), left = vectors[i].iov_len - of_this;

                taken -= of_this;
                if (left > 0 && !queue_add(out, (const char *) vectors[i].iov_base + of_this, left))
                        return;
        }
}

void http_out_add_buffer(struct http_out *out, struct evbuffer *buffer)
{
        size_t size = evbuffer_get_length(buffer);

        if (out->error < 0) {
                evbuffer_drain(buffer, size);
                return;
        }
        if (size <= HOLD_MIN) {
                char *at = http_out_extend(out, size);

                if (at)
                        (void) evbuffer_remove(buffer, at, size);
                return;
        }
        if (!hold_to_queue(out))
                return;
        if (!out->queue)
                out->queue = evbuffer_new();
        if (!out->queue || evbuffer_add_buffer(out->queue, buffer) < 0)
                return out_fail(out, -ENOMEM);
        out->queue_bytes += size;
}

static void flush_hold(struct http_out *out, int fd)
{
        struct iovec vector = { out->hold, out->hold_size };
        ssize_t n = out_write(out, fd, &vector, 1);

        if (n < 0)
                return;
        size_t size = out->hold_size;

        out->hold_size = 0;
        (void) queue_add(out, out->hold + n, size - (size_t) n);
}

/* True when the socket took all that it was offered. */
static bool flush_queue_once(struct http_out *out, int fd)
{
        struct evbuffer_iovec vectors[VECTORS_MAX];
        int n_vectors = evbuffer_peek(out->queue, -1, NULL, vectors, VECTORS_MAX);
        size_t offered = 0;

        n_vectors = MIN_OF(n_vectors, VECTORS_MAX);
        for (int i = 0; i < n_vectors; i++)
                offered += vectors[i].iov_len;
        ssize_t n = out_write(out, fd, (struct iovec *) vectors, n_vectors);

        if (n < 0)
                return false;
        evbuffer_drain(out->queue, (size_t) n);
        out->queue_bytes -= (size_t) n;
        return (size_t) n == offered;
}

void http_out_flush(struct http_out *out, int fd)
{
        if (out->error < 0)
                return;
        if (out->queue_bytes == 0) {
                if (out->hold_size > 0)
                        flush_hold(out, fd);
                return;
        }
        if (!hold_to_queue(out))
                return;
        while (out->queue_bytes > 0 && flush_queue_once(out, fd))
                ;
}
