#include "worker/adopt.h"

#include "worker/attach.h"
#include "worker/exchange.h"
#include "worker/stdio_endpoint.h"

#include <config.h>
#include <stdio.h>

/* What a client says it speaks is what the backend is asked for. */
static void version_note(struct stdio *stdio, const struct exchange *exchange)
{
        char *version = stdio->handshake.own_version;
        struct http_slice value;

        if (version[0])
                return;
        if (http_head_get(exchange->head, "MCP-Protocol-Version", &value) < 0 || value.size >= HANDSHAKE_VERSION_SIZE)
                value = (struct http_slice) { ADOPT_VERSION_DEFAULT, sizeof(ADOPT_VERSION_DEFAULT) - 1 };
        memcpy(version, value.data, value.size);
        version[value.size] = '\0';
}

int adopt_client(struct stdio *stdio, const struct exchange *exchange, struct client **ret, enum reason *ret_reason)
{
        struct worker *worker = stdio->worker;
        struct client *client = NULL;

        if (worker->spec->kind != KEY_META || exchange->is_minted)
                return stdio_client_of(stdio, exchange, ret, ret_reason);
        version_note(stdio, exchange);
        if (exchange->transport_id[0])
                client = clients_find(worker->clients, exchange->transport_id);
        if (exchange->transport_id[0] && !client) {
                *ret_reason = REASON_internal;
                if (client_new(exchange->transport_id, "", &client) < 0)
                        return -ENOMEM;
                if (attach_known(stdio, client) < 0) {
                        client_free(client);
                        *ret_reason = REASON_overloaded;
                        return -ENOSPC;
                }
        }
        if (client)
                clients_touch(worker->clients, client);
        *ret = client;
        return 0;
}

int adopt_initialize(const char *version, char **ret, size_t *ret_size)
{
        char *text;
        int n = asprintf(&text, "{\"jsonrpc\":\"2.0\",\"id\":\"envmux\",\"method\":\"initialize\",\"params\":"
                         "{\"protocolVersion\":\"%s\",\"capabilities\":{},"
                         "\"clientInfo\":{\"name\":\"envmux\",\"version\":\"" PACKAGE_VERSION "\"}}}", version);

        if (n < 0)
                return -ENOMEM;
        *ret = text;
        *ret_size = (size_t) n;
        return 0;
}

void adopt_begin(struct stdio *stdio)
{
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (adopt_initialize(stdio->handshake.own_version, &text, &size) >= 0)
                handshake_begin_own(stdio, text, size);
}

int adopt_hold(struct stdio *stdio, struct client *client, struct stream *stream,
               const struct jsonrpc_message *message)
{
        int r = waiting_add(&stdio->handshake.waiting, client, stream, false, message->whole.data,
                            message->whole.size);

        if (r >= 0 && stdio->handshake.state == HANDSHAKE_NONE)
                adopt_begin(stdio);
        return r;
}

void adopt_forward(struct stdio *stdio, struct client *client, struct stream *stream,
                   const struct jsonrpc_message *message)
{
        if (stream)
                handshake_say_initialized(stdio);
        forward_message(stdio, client, stream, message);
}
