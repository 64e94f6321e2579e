/* Which session may start when: room (sessions_max in all and per server), start slots (starting_max),
 * the first start of a definition alone, a bounded queue, first come first served.
 *
 * Room is held from the launch until no process is left, a start slot until the backend is ready or the
 * start is over. The queue is looked through in order, and whoever may start does: a server that is
 * full holds up nobody else. A definition that has a prepare command starts nothing before that has
 * succeeded once; one that never had a ready session starts one session at a time, so that caches
 * (npx, uvx) are filled by one process. */
#pragma once

#include "supervisor/session.h"

struct admission;
struct server_config;

/* Observes the supervisor's sessions from now on. */
int admission_new(struct supervisor *supervisor, struct admission **ret);
/* Queued sessions must have ended. */
struct admission *admission_free(struct admission *admission);
DEFINE_CLEANUP(struct admission, admission_free)

/* Whether a session of server would start now or find a place in the queue. */
bool admission_has_place(struct admission *admission, const struct server_config *server);

/* Whether a session of server would start now. */
bool admission_has_room(struct admission *admission, const struct server_config *server);

/* Queues a session in state QUEUED, and launches it when it may start now. */
void admission_enter(struct admission *admission, struct session *session);

/* Counts an adopted session: room, and its definition as known good once it is ready. */
int admission_adopt(struct admission *admission, struct session *session);

/* Tries the queue again: after a reload. Definitions that no server has any more are forgotten. */
void admission_reconsider(struct admission *admission);

unsigned admission_queued(const struct admission *admission);
unsigned admission_starting(const struct admission *admission);
unsigned admission_rooms(const struct admission *admission);

/* Ends prepare commands that run (orderly stop). */
void admission_stop(struct admission *admission);
/* A prepare command still has processes. */
bool admission_is_busy(const struct admission *admission);
