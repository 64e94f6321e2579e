#include "router/peek.h"

#include "common/identity.h"
#include "common/jsonrpc.h"
#include "common/mcp.h"
#include "router/stateless.h"

#include <stdlib.h>

#define CONFIG_BYTES_MAX (64 * 1024) /* what fits into one frame to the supervisor */

static const char too_long[] = "without a session only initialize is accepted, and that may have 1 MiB";

bool peek_is_needed(const struct exchange *e)
{
        return !e->key.carries_transport_id || (e->server.meta_key[0] && e->key.kind != KEY_NAMED);
}

/* Too long to look into: fine where the head names the session. */
static void peek_give_up(struct exchange *e)
{
        if (e->is_modern)
                stateless_unread(e);
        else if (e->key.kind)
                exchange_find_session(e);
        else
                exchange_fail_reason(e, REASON_body_too_large, too_long);
}

void peek_start(struct exchange *e)
{
        e->may_create = false; /* what the body is has to show first */
        if (e->head->has_content_length && e->head->content_length > PEEK_BYTES_MAX)
                peek_give_up(e);
        else
                exchange_enter(e, EXCHANGE_PEEKING);
}

void peek_body(struct exchange *e, const void *data, size_t size)
{
        bool fits = size <= PEEK_BYTES_MAX - e->body.size;
        int r = body_append(&e->body, data, size, PEEK_BYTES_MAX + size);

        if (r < 0)
                exchange_fail_no_memory(e, r);
        else if (!fits)
                peek_give_up(e);
}

/* The URL's seed, else the client's own. */
static int seed_read(struct exchange *e, struct json_slice client_info)
{
        struct http_slice encoded;
        char text[24], *end;

        if (target_query_get(e->route.query, "seed", &encoded) < 0) {
                e->has_seed = client_info.size && identity_seed(client_info, &e->seed) == 0;
                return 0;
        }
        if (target_decode(encoded, true, text, sizeof(text)) < 0 || !text[0] || text[strspn(text, "-0123456789")])
                return -EINVAL;
        errno = 0;
        e->seed = strtoll(text, &end, 10);
        if (errno || *end)
                return -EINVAL;
        e->has_seed = true;
        return 0;
}

static int config_read(struct exchange *e, struct json_slice client_info)
{
        struct json_slice config;

        if (!client_info.size || json_get_path(client_info, &config, "_extra", "config", NULL) < 0 ||
            json_slice_type(config) != JSON_OBJECT)
                return 0;
        if (config.size > CONFIG_BYTES_MAX)
                return -E2BIG;
        e->config = config;
        return 0;
}

bool peek_settings(struct exchange *e, struct json_slice client_info)
{
        if (seed_read(e, client_info) < 0)
                exchange_fail_reason(e, REASON_bad_request, "seed= must be an integer of at most 64 bits");
        else if (config_read(e, client_info) < 0)
                exchange_fail_reason(e, REASON_body_too_large, "clientInfo._extra.config may have 64 KiB");
        else
                return true;
        return false;
}

static void peek_initialize(struct exchange *e, const struct jsonrpc_message *message)
{
        struct json_slice client_info = {};

        if (e->is_modern)
                return exchange_fail_reason(e, REASON_header_mismatch, "MCP 2026-07-28 has no initialize");
        if (json_get(message->params, "clientInfo", &client_info) < 0 || json_slice_type(client_info) != JSON_OBJECT)
                client_info = (struct json_slice) {};
        if (key_mint(e->minted) < 0)
                return exchange_fail_reason(e, REASON_internal, "no randomness");
        if (!peek_settings(e, client_info))
                return;
        if (!e->key.kind && key_of_client(&e->server, client_info, &e->key) < 0 &&
            key_of_nothing(&e->server, e->minted, &e->key) < 0)
                return exchange_fail_unnamed(e, REASON_session_required);
        e->may_create = true;
        exchange_find_session(e);
}

/* A message of the revisions that have sessions. */
static void peek_message(struct exchange *e, const struct jsonrpc_message *message)
{
        const char *why;

        if (e->key.kind != KEY_NAMED && key_of_meta(&e->server, message, &e->key, &why) == -EINVAL)
                return exchange_fail_reason(e, REASON_bad_request, why);
        e->may_create = e->key.kind == KEY_META;
        if (e->key.kind != KEY_TRANSPORT && message->kind == JSONRPC_REQUEST &&
            jsonrpc_method_is(message, "initialize"))
                peek_initialize(e, message);
        else if (e->key.kind && (!e->may_create || peek_settings(e, (struct json_slice) {})))
                exchange_find_session(e);
        else if (!e->key.kind)
                exchange_fail_unnamed(e, REASON_session_required);
}

void peek_end(struct exchange *e)
{
        struct jsonrpc_message message;
        int r = jsonrpc_parse(e->body.data ?: "", e->body.size, &message);

        if (r == 0 && mcp_is_modern(e->head, &message))
                stateless_peeked(e, &message);
        else if (r == 0)
                peek_message(e, &message);
        else if (e->key.kind && !e->is_modern) /* the session's to answer */
                exchange_find_session(e);
        else if (r == -EPROTO)
                exchange_fail_reason(e, REASON_bad_request, "the body is not JSON-RPC 2.0");
        else
                exchange_fail_reason(e, REASON_parse_error, NULL);
}
