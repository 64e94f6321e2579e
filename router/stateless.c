#include "router/stateless.h"

#include "common/mcp.h"
#include "router/cors.h"
#include "router/peek.h"

/* False when the request was answered: this server's backends do not speak the revision. */
static bool era_is_possible(struct exchange *e)
{
        e->is_modern = true;
        if (e->server.era != ERA_LEGACY)
                return true;
        exchange_fail_reason(e, REASON_legacy_only, NULL);
        return false;
}

/* A live session may have been made without anybody asking for the era: its one process must not be what
 * finds that out. The supervisor knows a way. */
static bool era_is_open(const struct exchange *e)
{
        return e->server.era == ERA_UNKNOWN && e->server.transport == TRANSPORT_STDIO;
}

static void find_or_create(struct exchange *e)
{
        e->may_create = true;
        if (era_is_open(e))
                exchange_resolve(e, NULL);
        else
                exchange_find_session(e);
}

void stateless_begin_anew(struct exchange *e)
{
        e->key.kind = KEY_REQUEST;
        if (key_mint(e->key.value) < 0)
                return exchange_fail_reason(e, REASON_internal, "no randomness");
        find_or_create(e);
}

/* Where an earlier request left off, if that is still there. */
static void find_handle(struct exchange *e)
{
        e->may_create = false;
        exchange_find_session(e);
}

static void find_shared(struct exchange *e)
{
        e->key.kind = KEY_SHARED;
        STR_COPY(e->key.value, KEY_SHARED_MODERN);
        find_or_create(e);
}

/* Nothing waits for an answer, and there is no session that it could matter to. */
static void accept_notification(struct exchange *e)
{
        http_conn_start_response(e->client, 202);
        cors_add_headers(e->client, e->origin);
        http_conn_respond(e->client, 202, NULL, NULL, 0);
        exchange_answered(e);
}

static struct json_slice client_info_of(const struct jsonrpc_message *message)
{
        struct mcp_envelope envelope;

        mcp_envelope_read(message, &envelope);
        if (envelope.client_info.size && json_slice_type(envelope.client_info) != JSON_OBJECT)
                return (struct json_slice) {};
        return envelope.client_info;
}

/* No key was named. message is NULL where nothing in it could change the answer. */
static void find_keyless(struct exchange *e, const struct jsonrpc_message *message)
{
        switch (e->server.keyless) {
        case KEYLESS_SHARED:
                return find_shared(e);
        case KEYLESS_PER_REQUEST:
                if (key_of_handle(message, &e->key) == 0)
                        return find_handle(e);
                if (message->kind == JSONRPC_NOTIFICATION)
                        return accept_notification(e);
                return stateless_begin_anew(e);
        case KEYLESS_REJECT:
                break;
        }
        exchange_fail_unnamed(e, REASON_key_required);
}

void stateless_start(struct exchange *e)
{
        bool body_says_more = e->server.keys & (1u << KEY_META | 1u << KEY_CLIENT) ||
                              e->server.keyless == KEYLESS_PER_REQUEST;

        if (!era_is_possible(e))
                return;
        e->may_create = true;
        if (!e->key.kind && !body_says_more)
                find_keyless(e, NULL);
        else if (!e->key.kind || era_is_open(e) || !exchange_find_live(e))
                peek_start(e);
}

void stateless_unread(struct exchange *e)
{
        exchange_fail_reason(e, REASON_body_too_large,
                             "a request that starts a session, or names it in its body, may have 1 MiB");
}

/* The seed and config of a request that went to a live session by its head alone. */
bool stateless_prepare_retry(struct exchange *e)
{
        struct jsonrpc_message message;

        if (!e->is_modern || e->key.kind != KEY_NAMED)
                return true;
        if (!e->is_ended) {
                exchange_fail_reason(e, REASON_stopping, "the session ended while the request was being read");
                return false;
        }
        return jsonrpc_parse(e->body.data ?: "", e->body.size, &message) < 0 ||
               peek_settings(e, client_info_of(&message));
}

void stateless_peeked(struct exchange *e, const struct jsonrpc_message *message)
{
        const struct json_slice client_info = client_info_of(message);
        const char *why = NULL;

        if (!era_is_possible(e))
                return;
        if (e->key.kind == KEY_TRANSPORT) /* the revision has no such header */
                e->key.kind = 0;
        if (!peek_settings(e, client_info))
                return;
        int r = e->key.kind ? 0 : key_of_meta(&e->server, message, &e->key, &why);

        if (r == -ENOENT)
                r = key_of_client(&e->server, client_info, &e->key);
        if (r == -EINVAL)
                exchange_fail_reason(e, REASON_bad_request, why);
        else if (r == 0)
                find_or_create(e);
        else
                find_keyless(e, message);
}
