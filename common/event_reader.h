/* Reading text/event-stream (HTML Living Standard §9.2.6): only the data of each event. */
#pragma once

#include "common/json_writer.h"

#define EVENT_READER_BYTES_MAX (64 * 1024 * 1024) /* bytes of one event */

struct event_reader {
        struct json_writer line, data; /* what has come of the present line and event */
        bool after_cr;                 /* an LF now belongs to the line end before it */
};

/* Calls on_event with the data of each event that ends inside of bytes; stops when it returns true,
 * and returns true then. -EFBIG: an event is too long. */
int event_reader_feed(struct event_reader *reader, const char *bytes, size_t size,
                      bool (*on_event)(const char *data, size_t size, void *userdata), void *userdata);
void event_reader_done(struct event_reader *reader);
