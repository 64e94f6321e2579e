#include "worker/farewell.h"

#include "common/mcp.h"
#include "worker/exchange.h"

#define BODY_BYTES_MAX (256u * 1024) /* of a larger request the id stays unknown */

struct farewell {
        const struct failure *failure;
        bool is_start_failure;
        char *text;
        size_t size;
};

void farewell_request(struct exchange *exchange, const struct failure *failure)
{
        struct farewell *farewell = calloc(1, sizeof(*farewell));

        if (!farewell)
                return exchange_gone(exchange);
        farewell->failure = failure;
        farewell->is_start_failure = failure->reason == REASON_start_failed || failure->reason == REASON_start_timeout;
        exchange->farewell = farewell;
}

void farewell_free(struct exchange *exchange)
{
        struct farewell *farewell = TAKE_PTR(exchange->farewell);

        free(farewell->text);
        free(farewell);
}

void farewell_body(struct exchange *exchange, const void *data, size_t size)
{
        struct farewell *farewell = exchange->farewell;
        char *bigger = farewell->size + size <= BODY_BYTES_MAX ? realloc(farewell->text, farewell->size + size) : NULL;

        if (bigger) {
                farewell->text = bigger;
                memcpy(farewell->text + farewell->size, data, size);
        }
        farewell->size += size; /* beyond what is held: the text is no message */
}

/* The id of the JSON-RPC request that the body is; size 0: it is none, or one that begins a session. */
static struct json_slice request_id(const struct farewell *farewell, const struct http_head *head)
{
        struct jsonrpc_message message;

        if (farewell->size == 0 || farewell->size > BODY_BYTES_MAX ||
            jsonrpc_parse(farewell->text, farewell->size, &message) < 0 || message.kind != JSONRPC_REQUEST)
                return (struct json_slice) { 0 };
        if (!farewell->is_start_failure &&
            (jsonrpc_method_is(&message, "initialize") || mcp_is_modern(head, &message)))
                return (struct json_slice) { 0 };
        return message.id;
}

void farewell_end(struct exchange *exchange)
{
        const struct farewell *farewell = exchange->farewell;
        struct json_slice id = request_id(farewell, exchange->head);

        /* Nobody reads what a POST of the HTTP+SSE transport is answered with but its status: 404, as its stream. */
        if (http_slice_is(exchange->path, "/message"))
                return exchange_gone(exchange);
        if (id.size > 0 || farewell->is_start_failure)
                exchange_fail(exchange, farewell->failure, id.size > 0 ? id.data : NULL, id.size);
        else
                exchange_gone(exchange);
}
