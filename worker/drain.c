#include "worker/drain.h"

#include "common/fd.h"

#define CHUNK_BYTES (16u * 1024)
#define NOW_BYTES_MAX (1024u * 1024)

struct drain {
        int fd;
        struct event *readable;
        struct log_ring *ring;
        enum log_source source;
};

/* Bytes read, or 0 when nothing is there or the pipe has ended. */
static size_t drain_step(struct drain *drain)
{
        char chunk[CHUNK_BYTES];
        ssize_t n = drain->fd >= 0 ? read(drain->fd, chunk, sizeof(chunk)) : 0;

        if (n > 0) {
                log_ring_write(drain->ring, drain->source, chunk, (size_t) n);
                return (size_t) n;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        log_ring_flush(drain->ring, drain->source);
        event_del(drain->readable);
        drain->fd = fd_close(drain->fd);
        return 0;
}

static void on_readable(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        drain_step(userdata);
}

int drain_new(struct event_base *base, int fd_consume, struct log_ring *ring, enum log_source source,
              struct drain **ret)
{
        _cleanup_fd_ int fd = fd_consume;
        struct drain *drain = calloc(1, sizeof(*drain));

        if (!drain)
                return -ENOMEM;
        drain->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, drain);
        if (!drain->readable || event_add(drain->readable, NULL) < 0) {
                drain->fd = -1;
                drain_free(drain);
                return -ENOMEM;
        }
        drain->fd = TAKE_FD(fd);
        drain->ring = ring;
        drain->source = source;
        *ret = drain;
        return 0;
}

struct drain *drain_free(struct drain *drain)
{
        if (!drain)
                return NULL;
        if (drain->readable)
                event_free(drain->readable);
        fd_close(drain->fd);
        free(drain);
        return NULL;
}

void drain_now(struct drain *drain)
{
        size_t taken = 0, n;

        while (taken < NOW_BYTES_MAX && (n = drain_step(drain)) > 0)
                taken += n;
        log_ring_flush(drain->ring, drain->source);
}
