#include "worker/stdio_pipe.h"

#include "common/fd.h"

#include <event2/buffer.h>

#define CHUNK_BYTES (64u * 1024) /* what a pipe holds */
#define DRAIN_CHUNKS_MAX 1024u   /* a grandchild may go on writing after the backend's death */
#define KEEP_BYTES (128u * 1024) /* a larger buffer is given back when it is empty */

struct stdio_pipe {
        int stdin_fd, stdout_fd;
        struct event *readable, *writable;
        struct evbuffer *out;
        bool is_closing; /* close stdin once out is empty */
        bool is_broken, is_paused;

        char *in;
        size_t in_size, in_allocated;
        size_t in_scanned;         /* no newline before this */
        size_t line_bytes_max;
        uint64_t skipped;          /* bytes of an overlong line seen so far, 0: none is being skipped */
        struct id_scan scan;       /* of that line */

        const struct stdio_pipe_ops *ops;
        void *userdata;
};

/* ---- towards the backend ---- */

static void broken(struct stdio_pipe *pipe)
{
        if (pipe->is_broken)
                return;
        pipe->is_broken = true;
        pipe->ops->on_broken(pipe->userdata);
}

static void input_close(struct stdio_pipe *pipe)
{
        event_del(pipe->writable);
        evbuffer_drain(pipe->out, evbuffer_get_length(pipe->out));
        pipe->stdin_fd = fd_close(pipe->stdin_fd);
}

/* Writes what the pipe takes. */
static void out_flush(struct stdio_pipe *pipe)
{
        while (evbuffer_get_length(pipe->out) > 0) {
                if (evbuffer_write(pipe->out, pipe->stdin_fd) >= 0)
                        continue;
                if (errno == EINTR)
                        continue;
                if (errno == EAGAIN) {
                        event_add(pipe->writable, NULL);
                        return;
                }
                input_close(pipe);
                event_active(pipe->writable, EV_TIMEOUT, 0); /* tells from the loop, not from inside a write */
                return;
        }
        if (pipe->is_closing)
                input_close(pipe);
}

static void on_writable(_unused_ evutil_socket_t fd, short what, void *userdata)
{
        struct stdio_pipe *pipe = userdata;

        if (what & EV_TIMEOUT)
                broken(pipe);
        else
                out_flush(pipe);
}

int stdio_pipe_write(struct stdio_pipe *pipe, const char *message, size_t size)
{
        bool was_empty = evbuffer_get_length(pipe->out) == 0;

        if (pipe->stdin_fd < 0 || pipe->is_closing)
                return -EPIPE;
        if (evbuffer_expand(pipe->out, size + 1) < 0)
                return -ENOMEM;
        evbuffer_add(pipe->out, message, size);
        evbuffer_add(pipe->out, "\n", 1);
        if (was_empty)
                out_flush(pipe);
        return 0;
}

size_t stdio_pipe_queued_bytes(const struct stdio_pipe *pipe)
{
        return evbuffer_get_length(pipe->out);
}

void stdio_pipe_close_input(struct stdio_pipe *pipe)
{
        pipe->is_closing = true;
        if (pipe->stdin_fd >= 0 && evbuffer_get_length(pipe->out) == 0)
                input_close(pipe);
}

/* ---- from the backend ---- */

static void give_line(struct stdio_pipe *pipe, char *line, size_t size)
{
        if (size > 0 && line[size - 1] == '\r')
                size--;
        if (size > 0)
                pipe->ops->on_line(line, size, pipe->userdata);
}

/* More of an overlong line, of which nothing is kept. */
static void skip(struct stdio_pipe *pipe, const char *bytes, size_t size)
{
        if (pipe->skipped == 0)
                pipe->scan = (struct id_scan) { 0 };
        pipe->skipped += size;
        id_scan_feed(&pipe->scan, bytes, size);
}

/* Its newline came. */
static void skip_end(struct stdio_pipe *pipe)
{
        pipe->ops->on_long_line(pipe->skipped, &pipe->scan, pipe->userdata);
        pipe->skipped = 0;
}

/* Ends the skipping of an overlong line at its newline; false: its end is not there yet. */
static bool skip_to_newline(struct stdio_pipe *pipe, size_t *at)
{
        char *newline = memchr(pipe->in + *at, '\n', pipe->in_size - *at);
        size_t n = newline ? (size_t) (newline - pipe->in) - *at : pipe->in_size - *at;

        skip(pipe, pipe->in + *at, n);
        *at += n + (newline ? 1 : 0);
        if (newline)
                skip_end(pipe);
        return newline != NULL;
}

/* Gives out every whole line and keeps the rest. */
static void lines_take(struct stdio_pipe *pipe)
{
        size_t at = 0, scan = pipe->in_scanned;

        while (at < pipe->in_size) {
                if (pipe->skipped > 0) {
                        if (!skip_to_newline(pipe, &at))
                                break;
                        scan = at;
                        continue;
                }
                char *newline = memchr(pipe->in + scan, '\n', pipe->in_size - scan);

                if (!newline)
                        break;
                size_t end = (size_t) (newline - pipe->in);

                if (end - at > pipe->line_bytes_max) {
                        skip(pipe, pipe->in + at, end - at);
                        skip_end(pipe);
                } else {
                        give_line(pipe, pipe->in + at, end - at);
                }
                at = scan = end + 1;
        }
        memmove(pipe->in, pipe->in + at, pipe->in_size - at);
        pipe->in_size -= at;
        pipe->in_scanned = pipe->in_size;
        if (pipe->in_size > pipe->line_bytes_max) {
                skip(pipe, pipe->in, pipe->in_size);
                pipe->in_size = pipe->in_scanned = 0;
        }
}

static int in_reserve(struct stdio_pipe *pipe)
{
        if (pipe->in_size == 0 && pipe->in_allocated > KEEP_BYTES) {
                free(TAKE_PTR(pipe->in));
                pipe->in_allocated = 0;
        }
        if (pipe->in_allocated - pipe->in_size >= CHUNK_BYTES)
                return 0;
        size_t allocated = MAX_OF(pipe->in_allocated * 2, pipe->in_size + CHUNK_BYTES);
        char *bigger = realloc(pipe->in, allocated);

        if (!bigger)
                return -ENOMEM;
        pipe->in = bigger;
        pipe->in_allocated = allocated;
        return 0;
}

/* One read. True when there may be more. */
static bool read_step(struct stdio_pipe *pipe)
{
        if (pipe->stdout_fd < 0 || in_reserve(pipe) < 0)
                return false;
        ssize_t n = read(pipe->stdout_fd, pipe->in + pipe->in_size, CHUNK_BYTES);

        if (n > 0) {
                pipe->in_size += (size_t) n;
                lines_take(pipe);
                return true;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        event_del(pipe->readable);
        pipe->stdout_fd = fd_close(pipe->stdout_fd);
        if (pipe->in_size > 0) { /* the last line lacks its newline */
                size_t size = pipe->in_size;

                pipe->in_size = pipe->in_scanned = 0;
                give_line(pipe, pipe->in, size);
        }
        broken(pipe);
        return false;
}

static void on_readable(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        read_step(userdata);
}

void stdio_pipe_pause(struct stdio_pipe *pipe, bool paused)
{
        if (paused == pipe->is_paused || pipe->stdout_fd < 0)
                return;
        pipe->is_paused = paused;
        if (paused)
                event_del(pipe->readable);
        else
                event_add(pipe->readable, NULL);
}

void stdio_pipe_drain(struct stdio_pipe *pipe)
{
        pipe->is_broken = true; /* nothing new to tell */
        for (unsigned i = 0; i < DRAIN_CHUNKS_MAX && read_step(pipe); i++)
                ;
}

int stdio_pipe_new(struct event_base *base, int stdin_fd_consume, int stdout_fd_consume, size_t line_bytes_max,
                   const struct stdio_pipe_ops *ops, void *userdata, struct stdio_pipe **ret)
{
        struct stdio_pipe *pipe = calloc(1, sizeof(*pipe));

        if (!pipe) {
                fd_close(stdin_fd_consume);
                fd_close(stdout_fd_consume);
                return -ENOMEM;
        }
        pipe->stdin_fd = stdin_fd_consume;
        pipe->stdout_fd = stdout_fd_consume;
        pipe->line_bytes_max = line_bytes_max;
        pipe->ops = ops;
        pipe->userdata = userdata;
        pipe->out = evbuffer_new();
        pipe->readable = event_new(base, pipe->stdout_fd, EV_READ | EV_PERSIST, on_readable, pipe);
        pipe->writable = event_new(base, pipe->stdin_fd, EV_WRITE, on_writable, pipe);
        if (!pipe->out || !pipe->readable || !pipe->writable || event_add(pipe->readable, NULL) < 0) {
                stdio_pipe_free(pipe);
                return -ENOMEM;
        }
        *ret = pipe;
        return 0;
}

struct stdio_pipe *stdio_pipe_free(struct stdio_pipe *pipe)
{
        if (!pipe)
                return NULL;
        if (pipe->readable)
                event_free(pipe->readable);
        if (pipe->writable)
                event_free(pipe->writable);
        if (pipe->out)
                evbuffer_free(pipe->out);
        fd_close(pipe->stdin_fd);
        fd_close(pipe->stdout_fd);
        free(pipe->in);
        free(pipe);
        return NULL;
}
