#include "router/dormant.h"

#include "router/answer.h"
#include "router/cors.h"
#include "router/key.h"

void dormant_ask(const struct exchange *e, struct resolve_request *request)
{
        if ((e->route.kind != ROUTE_MCP && e->route.kind != ROUTE_MESSAGE) || e->may_create)
                return;
        if (e->route.kind == ROUTE_MESSAGE || e->head->method == HTTP_GET)
                request->wake = WAKE_NOT;
        if (e->head->method != HTTP_DELETE)
                return;
        request->wake = WAKE_LEAVE;
        if (http_head_get(e->head, "Mcp-Session-Id", &request->transport) < 0 ||
            !key_is_valid(request->transport.data, request->transport.size))
                request->transport = (struct http_slice) {};
}

/* A client that listens does without (Streamable HTTP, "Listening for Messages from the Server"): nothing could
 * come, and SDKs go on quietly. */
void dormant_answer(struct exchange *e)
{
        const struct failure f = { .reason = REASON_method_not_allowed, .detail = "the session is dormant" };

        if (e->route.kind == ROUTE_MESSAGE)
                return exchange_fail_reason(e, REASON_session_ended, "its stream was closed when the session was idle");
        if (e->head->method == HTTP_DELETE) {
                http_conn_start_response(e->client, 200);
                cors_add_headers(e->client, e->origin);
                http_conn_respond(e->client, 200, NULL, NULL, 0);
        } else {
                answer_failure(e->client, ANSWER_JSONRPC, 0, &f, (struct json_slice) {}, "POST, DELETE", e->origin);
        }
        exchange_answered(e);
}
