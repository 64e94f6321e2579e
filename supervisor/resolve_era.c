#include "supervisor/resolve_internal.h"

#include "supervisor/admission.h"
#include "supervisor/era.h"
#include "supervisor/rebuild.h"
#include "supervisor/supervisor.h"

#define PROBES_MAX 3 /* for one question, while they end without having shown anything */

static void question_probe(struct question *q, const struct server_config *server)
{
        struct session *probe;
        int r = era_probe(q->waiter.peer->supervisor->eras, server, &probe);

        if (r < 0)
                return question_answer_not_made(q, r);
        if (session_state_is_final(probe->state))
                return question_answer_ended(q, RESOLVE_FAILED, probe);
        q->n_probes++;
        question_wait_for(q, probe, STAGE_ERA);
}

/* A live session that came with a definition which is not in force any more keeps its era to itself. */
static bool keeps_era(const struct session *s, const struct server_config *server)
{
        return session_is_reachable(s) &&
               (!s->record.definition_hash || !streq(s->record.definition_hash, server->definition_hash));
}

bool question_meets_era(struct question *q, const struct session *s)
{
        struct supervisor *supervisor = q->waiter.peer->supervisor;
        const struct ipc_resolve *a = &q->asked;
        const struct server_config *server = config_find(supervisor->config, a->server);

        if (!a->is_modern || !a->may_create || !server || !rebuild_is_settled(supervisor->rebuild))
                return false;
        if (s ? keeps_era(s, server) : !config_may_create(server, (enum key_kind) a->kind, a->key))
                return false;
        enum backend_era era = era_presumed(supervisor->eras, server);

        if (era == ERA_LEGACY) {
                question_answer_reason(q, RESOLVE_LEGACY, REASON_legacy_only);
                return true;
        }
        if (era == ERA_MODERN || server->transport != TRANSPORT_STDIO)
                return false;
        /* No room for a probe beside it: the session's worker tells what its backend says. */
        if (s && session_is_reachable(s) && !admission_has_room(supervisor->admission, server))
                return false;
        question_probe(q, server);
        return true;
}

static bool knows_era(const struct question *q)
{
        struct supervisor *supervisor = q->waiter.peer->supervisor;
        const struct server_config *server = config_find(supervisor->config, q->asked.server);

        return !server || era_presumed(supervisor->eras, server) != ERA_UNKNOWN;
}

void question_on_probe(struct question *q)
{
        if (knows_era(q))
                question_look(q);
}

/* The start of the probe has failed, as that of the session would have. One that was lost or stopped on its way
 * says nothing about the backend: the next one may. */
void question_on_probe_ended(struct question *q, const struct session *s)
{
        bool is_told = s->is_failed && s->end_reason != REASON_worker_lost;

        if (!knows_era(q) && (is_told || q->n_probes >= PROBES_MAX))
                question_answer_ended(q, RESOLVE_FAILED, s);
        else
                question_look(q);
}
