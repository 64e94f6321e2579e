/* What a backend writes, in the journal: each line an entry with ENVMUX_SERVER and ENVMUX_SESSION, so that
 * `journalctl ENVMUX_SESSION=ID` is all that one session said. A line of stderr has the priority that it asks for
 * ("<3>…", sd-daemon(3)), else that of information; what is no message on stdout is worth a notice.
 *
 * The journal is a reader of the ring like any other: while it does not keep up, lines wait there, and those that
 * make room for newer ones are lost and counted. The backend never waits for it. */
#pragma once

#include "worker/log_ring.h"
#include "worker/spec.h"

#include <event2/event.h>

struct journal_lines;

/* *ret is NULL where our own lines do not go to the journal (common/log.h). ring and spec must outlive it. */
int journal_lines_new(struct event_base *base, struct log_ring *ring, const struct spec *spec,
                      struct journal_lines **ret);
struct journal_lines *journal_lines_free(struct journal_lines *lines);
DEFINE_CLEANUP(struct journal_lines, journal_lines_free)
