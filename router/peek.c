#include "router/peek.h"

#include "common/identity.h"
#include "common/jsonrpc.h"

#include <stdlib.h>

#define CONFIG_BYTES_MAX (64 * 1024) /* what fits into one frame to the supervisor */

static const char too_long[] = "without a session only initialize is accepted, and that may have 1 MiB";

/* Too long for an initialize: fine where the request names its session. */
static void peek_give_up(struct exchange *e)
{
        if (e->key.kind)
                exchange_find_session(e);
        else
                exchange_fail_reason(e, REASON_body_too_large, too_long);
}

void peek_start(struct exchange *e)
{
        if (e->head->has_content_length && e->head->content_length > PEEK_BYTES_MAX)
                peek_give_up(e);
        else
                exchange_enter(e, EXCHANGE_PEEKING);
}

void peek_body(struct exchange *e, const void *data, size_t size)
{
        bool fits = size <= PEEK_BYTES_MAX - e->body.size;

        body_append(&e->body, data, size, PEEK_BYTES_MAX + size);
        if (e->body.is_partial)
                exchange_fail_reason(e, REASON_internal, "out of memory");
        else if (!fits)
                peek_give_up(e);
}

int peek_seed(struct exchange *e, struct json_slice client_info)
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

/* Where the request names no key: the client's identity if the server wants that, else a fresh id. */
static int key_choose(struct exchange *e, struct json_slice client_info)
{
        char identity[IDENTITY_SIZE];

        if (e->server.keys & 1u << KEY_CLIENT && client_info.size &&
            identity_from_client_info(client_info, identity) == 0 && STR_COPY(e->key.value, identity) == 0) {
                e->key.kind = KEY_CLIENT;
                return 0;
        }
        if (!(e->server.keys & 1u << KEY_TRANSPORT))
                return -ENOKEY;
        e->key.kind = KEY_TRANSPORT;
        STR_COPY(e->key.value, e->minted);
        return 0;
}

static void peek_initialize(struct exchange *e, const struct jsonrpc_message *message)
{
        struct json_slice client_info = {};

        if (json_get(message->params, "clientInfo", &client_info) < 0 || json_slice_type(client_info) != JSON_OBJECT)
                client_info = (struct json_slice) {};
        if (key_mint(e->minted) < 0)
                return exchange_fail_reason(e, REASON_internal, "no randomness");
        if (peek_seed(e, client_info) < 0)
                return exchange_fail_reason(e, REASON_bad_request, PEEK_BAD_SEED);
        if (config_read(e, client_info) < 0)
                return exchange_fail_reason(e, REASON_body_too_large, "clientInfo._extra.config may have 64 KiB");
        if (!e->key.kind && key_choose(e, client_info) < 0)
                return exchange_fail_reason(e, REASON_session_required, NULL);
        e->may_create = true;
        exchange_find_session(e);
}

void peek_end(struct exchange *e)
{
        struct jsonrpc_message message;
        int r = jsonrpc_parse(e->body.data ?: "", e->body.size, &message);

        if (r == 0 && message.kind == JSONRPC_REQUEST && jsonrpc_method_is(&message, "initialize"))
                peek_initialize(e, &message);
        else if (e->key.kind)
                exchange_find_session(e);
        else if (r == 0)
                exchange_fail_reason(e, REASON_session_required, NULL);
        else if (r == -EPROTO)
                exchange_fail_reason(e, REASON_bad_request, "the body is not JSON-RPC 2.0");
        else
                exchange_fail_reason(e, REASON_parse_error, NULL);
}
