#include "worker/relay_request.h"

#include <stdio.h>

static const char *const not_forwarded[] = { "Host", "Origin", "Mcp-Session-Id", "Expect" };

static bool header_is_forwarded(const struct exchange *exchange, const struct http_header *header)
{
        static const char ours[] = "Envmux-";

        if (http_head_is_hop_by_hop(exchange->head, header))
                return false;
        /* The answer to `initialize` is read here, and so are those of a session of a single request. */
        bool is_read = exchange->is_minted || exchange->worker->spec->kind == KEY_REQUEST;

        if (is_read && http_slice_is_nocase(header->name, "Accept-Encoding"))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(not_forwarded); i++)
                if (http_slice_is_nocase(header->name, not_forwarded[i]))
                        return false;
        return header->name.size < strlen(ours) || strncasecmp(header->name.data, ours, strlen(ours)) != 0;
}

/* The id that the backend knows this client by; "" for none. Paths of the backend's own get what the client sent
 * where that is an id of the backend's own making. */
static const char *backend_session_id(const struct http_endpoint *endpoint, const struct exchange *exchange, bool is_mcp)
{
        if (exchange->is_minted || (is_mcp && http_exchange_is_modern(exchange)))
                return "";
        const struct client *client = http_endpoint_speaker(endpoint, exchange, is_mcp);

        if (client)
                return client->backend_id;
        return is_mcp ? "" : exchange->transport_id;
}

/* What is the message's own, not its sender's. */
static const char *const of_message[] = {
        "Accept", "Accept-Encoding", "Content-Type", "Content-Encoding", "MCP-Protocol-Version", "Last-Event-ID",
};

static bool header_is_of_message(const struct http_header *header)
{
        for (size_t i = 0; i < ELEMENTSOF(of_message); i++)
                if (http_slice_is_nocase(header->name, of_message[i]))
                        return true;
        return false;
}

int relay_request_add_sender(struct http_conn *backend, const struct exchange *exchange)
{
        const struct http_head *head = exchange->head;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < head->n_headers; i++)
                if (header_is_forwarded(exchange, &head->headers[i]) && !header_is_of_message(&head->headers[i]))
                        r = http_conn_add_header_slice(backend, head->headers[i].name, head->headers[i].value);
        return r;
}

int relay_request_send_head(struct http_conn *backend, const struct http_endpoint *endpoint,
                            const struct exchange *exchange, bool is_mcp, const char *own_session)
{
        const struct http_head *head = exchange->head;
        struct http_slice path = exchange->path, query = exchange->query;
        const char *session_id = own_session ? own_session : backend_session_id(endpoint, exchange, is_mcp);
        _cleanup_free_ char *target = NULL;

        if (is_mcp)
                path = (struct http_slice) { endpoint->mcp_path, strlen(endpoint->mcp_path) };
        int size = asprintf(&target, "%.*s%s%.*s", (int) path.size, path.data, query.size ? "?" : "", (int) query.size,
                            query.size ? query.data : "");

        if (size < 0) {
                target = NULL;
                return -ENOMEM;
        }
        int r = http_conn_start_request(backend, head->method_name, (struct http_slice) { target, (size_t) size });

        if (r >= 0)
                r = http_conn_add_header(backend, "Host", http_address_host(endpoint->address));
        for (size_t i = 0; r >= 0 && i < head->n_headers; i++)
                if (header_is_forwarded(exchange, &head->headers[i]))
                        r = http_conn_add_header_slice(backend, head->headers[i].name, head->headers[i].value);
        if (r >= 0 && *session_id)
                r = http_conn_add_header(backend, "Mcp-Session-Id", session_id);
        if (r < 0)
                return r;
        /* One connection, one request: no idle one can be closed under the next request. */
        http_conn_set_close(backend);
        return http_conn_begin_body(backend,
                                    !head->has_body            ? HTTP_FRAMING_NONE
                                    : head->has_content_length ? HTTP_FRAMING_LENGTH
                                                               : HTTP_FRAMING_CHUNKED,
                                    head->content_length);
}
