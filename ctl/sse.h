/* Reading text/event-stream (HTML Living Standard §9.2.6): only the data of each event. */
#pragma once

#include "common/json_writer.h"

#define SSE_EVENT_MAX (64 * 1024 * 1024) /* bytes of one event */

struct sse {
        struct json_writer line, data; /* what has come of the present line and event */
        bool after_cr;                 /* an LF now belongs to the line end before it */
};

/* Calls on_event with the data of each event that ends inside of bytes; stops when it returns true,
 * and returns true then. -EFBIG: an event is too long. */
int sse_feed(struct sse *sse, const char *bytes, size_t size,
             bool (*on_event)(const char *data, size_t size, void *userdata), void *userdata);
void sse_done(struct sse *sse);
