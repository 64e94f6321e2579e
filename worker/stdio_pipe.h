/* Lines to a backend's standard input and from its standard output. Both ways are bounded: a line
 * longer than the limit is skipped whole and counted, and whoever writes asks first how much waits. */
#pragma once

#include "worker/id_scan.h"

#include <event2/event.h>

struct stdio_pipe;

struct stdio_pipe_ops {
        /* One line without its LF or CRLF; the bytes may be changed in place, and are gone after the call. */
        void (*on_line)(char *line, size_t size, void *userdata);
        /* A line of size bytes was longer than line_bytes_max and is lost; scan has seen all of it. */
        void (*on_long_line)(uint64_t size, const struct id_scan *scan, void *userdata);
        /* Standard output ended, or standard input broke: the backend cannot be talked to any more. Once. */
        void (*on_broken)(void *userdata);
};

/* Both fds are non-blocking. */
int stdio_pipe_new(struct event_base *base, int stdin_fd_consume, int stdout_fd_consume, size_t line_bytes_max,
                   const struct stdio_pipe_ops *ops, void *userdata, struct stdio_pipe **ret);
struct stdio_pipe *stdio_pipe_free(struct stdio_pipe *pipe);

/* Queues one message, which holds no newline, and its newline. -ENOMEM; -EPIPE once input is broken
 * or closed. */
int stdio_pipe_write(struct stdio_pipe *pipe, const char *message, size_t size);

/* Bytes that the backend has not read yet, those inside the kernel's pipe not counted. */
size_t stdio_pipe_queued_bytes(const struct stdio_pipe *pipe);

/* Backpressure on output: while paused nothing is read. */
void stdio_pipe_pause(struct stdio_pipe *pipe, bool paused);

/* Closes standard input as soon as what is queued was written. */
void stdio_pipe_close_input(struct stdio_pipe *pipe);

/* The backend is dead: hands out the whole lines that it still wrote. */
void stdio_pipe_drain(struct stdio_pipe *pipe);
