/* One question of a router, shared by the files that look at it:
 *
 *   resolve.c         what it leads to, and what it waits for
 *   resolve_era.c     a stateless one: which era of MCP its backend would speak
 *   resolve_answer.c  how it ends
 */
#pragma once

#include "supervisor/resolve.h"
#include "supervisor/session.h"
#include "supervisor/waiter.h"

struct server_config;

/* What a question waits for while it hangs on a session. */
enum resolve_stage {
        STAGE_LAUNCH, /* the start that it caused or shares: a failure is its answer */
        STAGE_END,    /* the end, or whatever else changes: it is asked again then */
        STAGE_ERA,    /* what a probe finds out: it is asked again then */
};

struct question {
        struct waiter waiter; /* first */
        struct ipc_resolve asked;
        char *config;         /* what the client configured, for the session this makes; JSON or NULL */
        enum resolve_stage stage;
        bool is_creator, is_late;
        unsigned n_probes;
};

/* The question waits for what becomes of session. */
void question_wait_for(struct question *question, struct session *session, enum resolve_stage stage);

/* Answers the question, or lets it wait in the right place. */
void question_look(struct question *question);

/* ---- resolve_era.c ---- */

/* A stateless request never finds out the era of a session's own backend: where that is unknown, a probe does
 * first, and where it is legacy, the client shall say initialize. session is what the question leads to and
 * may be NULL. True when the question was answered or waits. */
bool question_meets_era(struct question *question, const struct session *session);

/* The probe that the question waits for has told something, or is over. */
void question_on_probe(struct question *question);
void question_on_probe_ended(struct question *question, const struct session *probe);

/* ---- resolve_answer.c: each ends the question ---- */

void question_answer_ok(struct question *question, const struct session *session);
void question_answer_reason(struct question *question, enum resolve_code code, enum reason reason);
/* With what is known of the session's end. */
void question_answer_ended(struct question *question, enum resolve_code code, const struct session *session);
/* No session: what is known of the one that has the key while it ends, or had it last, is told with it. */
void question_answer_unknown(struct question *question);
/* The session sleeps on. */
void question_answer_dormant(struct question *question, struct session *session);
/* error is lifecycle_create's. */
void question_answer_not_made(struct question *question, int error);
