#include "router/sse.h"

#include "router/peek.h"

static const char no_resumption[] = "an event stream of this transport cannot be resumed; connect anew";

/* An EventSource comes back by itself when its stream has ended, to a session that its client would not
 * initialize again: each time a backend would be started for nobody. It shows by the id that our streams
 * have for this reason, or by the revision that only an initialized client knows: the TypeScript SDK sends
 * that and drops the id. */
static bool is_coming_back(const struct exchange *e)
{
        struct http_slice value;

        return http_head_get(e->head, "Last-Event-ID", &value) != -ENOENT ||
               http_head_get(e->head, "MCP-Protocol-Version", &value) != -ENOENT;
}

void sse_start(struct exchange *e)
{
        if (is_coming_back(e))
                return exchange_fail_reason(e, REASON_session_ended, no_resumption);
        if (key_mint(e->minted) < 0)
                return exchange_fail_reason(e, REASON_internal, "no randomness");
        if (!peek_settings(e, (struct json_slice) {}))
                return;
        /* clientInfo and _meta come too late to choose by */
        if (!e->key.kind && key_of_nothing(&e->server, e->minted, &e->key) < 0)
                return exchange_fail_unnamed(e, REASON_session_required);
        e->may_create = !e->key.carries_transport_id;
        exchange_find_session(e);
}

/* Path and session header find the session, where they are given; its worker knows the client by the id. */
void sse_message_start(struct exchange *e)
{
        struct http_slice encoded;
        char id[IPC_KEY_SIZE];

        if (target_query_get(e->route.query, "sessionId", &encoded) < 0)
                return exchange_fail_reason(e, REASON_session_required, "sessionId= is missing; GET …/sse tells it");
        if (target_decode(encoded, true, id, sizeof(id)) < 0 || !key_is_valid(id, strlen(id)))
                return exchange_fail_reason(e, REASON_unknown_session, NULL);
        if (e->key.kind != KEY_NAMED) {
                e->key.kind = KEY_TRANSPORT;
                STR_COPY(e->key.value, id);
        }
        exchange_find_session(e);
}
