/* What the service manager is told of us: the line that `systemctl status` shows, "412 sessions, 3 starting",
 * at most once a second; and that we are well (WATCHDOG=1), which is said last of all that a turn of the loop
 * has to do, and not when routers need help that they do not get. */
#pragma once

#include "common/macro.h"

struct status;
struct supervisor;

/* Observes the supervisor's sessions. */
int status_new(struct supervisor *supervisor, struct status **ret);
struct status *status_free(struct status *status);
DEFINE_CLEANUP(struct status, status_free)

/* The line as it is now. */
#define STATUS_TEXT_SIZE 128
void status_text(const struct supervisor *supervisor, char ret[static STATUS_TEXT_SIZE]);

/* READY=1 with the line: at the start, and after a reload. */
void status_tell_ready(const struct supervisor *supervisor);

/* Something that the line tells has changed that is no session's move. */
void status_changed(struct status *status);
