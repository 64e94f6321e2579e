/* Where events end in an event stream that is passed on as it comes (HTML Living Standard §9.2.6): between
 * whole ones something may be added, and one that was cut off is not sent. */
#pragma once

#include "common/macro.h"

/* Starts as all zeroes. */
struct event_tail {
        size_t line_bytes;  /* of the line that is coming */
        char line_start[3]; /* its first bytes */
        bool after_cr;      /* an LF now belongs to the line end before it */
        bool has_fields;    /* an event has begun; comments are none */
        bool has_ids;       /* some event carried an id: its reader can ask for what it missed (MCP, "Resumability") */
};

/* Takes the next bytes; how many of them, counted from the first, end with whole events or comments. */
size_t event_tail_feed(struct event_tail *tail, const char *bytes, size_t size);
