#include "router/session_api.h"

#include "router/cors.h"
#include "router/router.h"

void session_api_start(struct exchange *e)
{
        if (e->head->has_content_length && e->head->content_length > KEEP_BYTES_MAX)
                exchange_fail_reason(e, REASON_body_too_large, "64 KiB at most");
        else
                exchange_enter(e, EXCHANGE_COLLECTING);
}

void session_api_body(struct exchange *e, const void *data, size_t size)
{
        int r = body_append(&e->body, data, size, KEEP_BYTES_MAX);

        if (r == -EFBIG)
                exchange_fail_reason(e, REASON_body_too_large, "64 KiB at most");
        else if (r < 0)
                exchange_fail_no_memory(e, r);
}

static void on_reply(struct asker *asker, const struct ipc_message *answer, bool is_first)
{
        struct exchange *e = (struct exchange *) ((char *) asker - offsetof(struct exchange, asker));
        const struct ipc_session_reply *reply = answer ? answer->body : NULL;

        if (!reply)
                return exchange_fail_reason(e, REASON_unavailable, NULL);
        if (answer->type != IPC_SESSION_REPLY || reply->http_status < 200 || reply->http_status > 599)
                return exchange_fail_reason(e, REASON_internal, NULL);
        http_conn_start_response(e->client, reply->http_status);
        cors_add_headers(e->client, e->origin);
        if (answer->blob_size)
                http_conn_add_header(e->client, "Content-Type", "application/json");
        if (reply->retry_after_sec)
                http_conn_add_headerf(e->client, "Retry-After", "%u", reply->retry_after_sec);
        http_conn_begin_body(e->client, reply->http_status == 204 ? HTTP_FRAMING_NONE : HTTP_FRAMING_LENGTH,
                             answer->blob_size);
        if (reply->http_status != 204)
                http_conn_send(e->client, answer->blob, answer->blob_size);
        http_conn_end(e->client);
        exchange_answered(e);
}

static enum session_call_op op_of(const struct exchange *e)
{
        if (e->route.kind == ROUTE_RESET)
                return SESSION_CALL_RESET;
        switch (e->head->method) {
        case HTTP_PUT:
                return SESSION_CALL_PUT;
        case HTTP_DELETE:
                return SESSION_CALL_DELETE;
        default:
                return SESSION_CALL_GET;
        }
}

void session_api_end(struct exchange *e)
{
        struct ipc_session_call call;

        memset(&call, 0, sizeof(call));
        call.op = op_of(e);
        STR_COPY(call.server, e->server.name);
        STR_COPY(call.principal, e->principal);
        STR_COPY(call.key, e->key.value);
        e->asker.on_answer = on_reply;
        int r = ask(&e->router->asks, &e->asker, IPC_SESSION_CALL, &call, sizeof(call), e->body.data, e->body.size,
                    call.op == SESSION_CALL_RESET ? ASK_ONCE : 0);

        if (r < 0)
                exchange_fail_reason(e, REASON_internal, NULL);
        else
                exchange_enter(e, EXCHANGE_ASKING);
}
