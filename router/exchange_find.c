/* Finding the session of an exchange: in the table, else by asking the supervisor. */
#include "router/exchange.h"

#include "router/dormant.h"
#include "router/forward.h"
#include "router/resolver.h"
#include "router/router.h"
#include "router/stateless.h"
#include "router/table.h"

bool exchange_find_live(struct exchange *e)
{
        const struct table *table = e->router->table;
        struct session *s = NULL;

        if (!e->minted[0] || e->key.kind != KEY_TRANSPORT) /* a fresh id is nowhere yet */
                s = table_find(table, e->server.name, e->principal, e->key.kind, e->key.value);
        if (!s && e->key.kind == KEY_TRANSPORT && e->route.kind == ROUTE_OTHER)
                s = table_find(table, e->server.name, e->principal, KEY_CLIENT, e->key.value);
        if (s)
                forward_start(e, s->id);
        return s;
}

void exchange_find_session(struct exchange *e)
{
        if (!exchange_find_live(e))
                exchange_resolve(e, NULL);
}

static void resolve_failed(struct exchange *e, struct resolve_answer *answer, bool was_answered)
{
        enum reason reason = answer->code == RESOLVE_UNKNOWN  ? REASON_unknown_session
                             : answer->code == RESOLVE_LEGACY ? REASON_legacy_only
                             : was_answered                   ? REASON_internal
                                                              : REASON_unavailable;

        e->is_over = answer->code == RESOLVE_UNKNOWN;
        if (answer->failure)
                exchange_fail(e, failure_get(answer->failure));
        else
                exchange_fail_reason(e, reason, NULL);
        failure_owned_free(answer->failure);
}

static void on_resolved(struct asker *asker, const struct ipc_message *message, bool is_first)
{
        struct exchange *e = (struct exchange *) ((char *) asker - offsetof(struct exchange, asker));
        struct resolve_answer answer;

        resolver_read(message, is_first, &answer);
        if (answer.code == RESOLVE_OK) {
                e->is_created = answer.is_created;
                forward_start(e, answer.session_id);
        } else if (answer.code == RESOLVE_UNKNOWN && e->key.kind == KEY_TRANSPORT && e->route.kind == ROUTE_OTHER) {
                failure_owned_free(answer.failure);
                e->key.kind = KEY_CLIENT; /* the predecessors' header carries either */
                exchange_resolve(e, e->session_id);
        } else if (answer.code == RESOLVE_UNKNOWN && e->key.kind == KEY_HANDLE) {
                failure_owned_free(answer.failure);
                stateless_begin_anew(e);
        } else if (answer.code == RESOLVE_DORMANT) {
                failure_owned_free(answer.failure);
                dormant_answer(e);
        } else {
                resolve_failed(e, &answer, message != NULL);
        }
}

void exchange_resolve(struct exchange *e, const char *stale_id)
{
        bool has_settings = e->key.kind != KEY_SHARED; /* what one client chose is not for all */
        struct resolve_request request = {
                .server = e->server.name,
                .principal = e->principal,
                .key = e->key.value,
                .kind = e->key.kind,
                .may_create = e->may_create,
                .is_modern = e->is_modern,
                .has_seed = e->has_seed && has_settings,
                .seed = e->has_seed && has_settings ? e->seed : 0,
                .stale_id = stale_id,
                .config = has_settings ? e->config.data : NULL,
                .config_size = has_settings ? e->config.size : 0,
        };

        dormant_ask(e, &request);
        e->asker.on_answer = on_resolved;
        if (resolver_ask(&e->router->asks, &e->asker, &request) < 0)
                exchange_fail_reason(e, REASON_internal, NULL);
        else
                exchange_enter(e, EXCHANGE_ASKING);
}
