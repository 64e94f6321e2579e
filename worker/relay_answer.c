#include "worker/relay_private.h"

#include "worker/exchange.h"
#include "worker/life.h"

/* What this answer means for who is attached; the headers that follow from it. */
static int add_session_headers(struct relay *relay, const struct http_head *head)
{
        struct exchange *exchange = relay->exchange;
        struct http_slice backend_id = { 0 };
        char id[IPC_KEY_SIZE] = "";

        if (http_head_get(head, "Mcp-Session-Id", &backend_id) == 0 && backend_id.size < sizeof(id))
                memcpy(id, backend_id.data, backend_id.size);
        if (!exchange->is_minted)
                return *id && exchange->transport_id[0]
                               ? http_conn_add_header(exchange->client, "Mcp-Session-Id", exchange->transport_id)
                               : 0;
        if (head->status != 200)
                return 0;
        return http_endpoint_attach(relay->endpoint, exchange, id, relay->retained);
}

/* What starts with Envmux- is the worker's to say: a backend could have its own requests sent again. */
static bool header_is_answered(const struct http_head *head, const struct http_header *header)
{
        static const char ours[] = "Envmux-";

        return !http_head_is_hop_by_hop(head, header) && !http_slice_is_nocase(header->name, "Mcp-Session-Id") &&
               (header->name.size < strlen(ours) || strncasecmp(header->name.data, ours, strlen(ours)) != 0);
}

static int send_response_head(struct relay *relay, const struct http_head *head)
{
        struct http_conn *client = relay->exchange->client;
        int r = http_conn_start_response(client, head->status);

        for (size_t i = 0; r >= 0 && i < head->n_headers; i++)
                if (header_is_answered(head, &head->headers[i]))
                        r = http_conn_add_header_slice(client, head->headers[i].name, head->headers[i].value);
        if (r >= 0)
                r = add_session_headers(relay, head);
        if (r < 0)
                return r;
        return http_conn_begin_body(client,
                                    head->has_content_length ? HTTP_FRAMING_LENGTH
                                    : head->has_body         ? HTTP_FRAMING_CHUNKED
                                                             : HTTP_FRAMING_NONE,
                                    head->content_length);
}

/* DELETE ends the client's part here whatever the backend thinks of it: many answer 405. */
static bool answer_delete(struct relay *relay)
{
        struct http_endpoint *endpoint = relay->endpoint;
        struct exchange *exchange = relay->exchange;
        char client_id[IPC_KEY_SIZE];

        if (!relay->is_mcp || exchange->head->method != HTTP_DELETE)
                return false;
        const struct client *sole = clients_sole(endpoint->worker->clients);

        (void) STR_COPY(client_id, exchange->transport_id[0] || !sole ? exchange->transport_id : sole->transport_id);
        exchange_respond(exchange, 200, NULL, NULL, NULL, 0);
        relay_free(relay);
        http_endpoint_detach(endpoint, client_id);
        return true;
}

/* Another client was attached while this `initialize` was at the backend. */
static bool answer_replaced(struct relay *relay, unsigned status)
{
        struct exchange *exchange = relay->exchange;
        struct life *life = exchange->worker->life;

        if (!exchange->is_minted || status != 200 || !life_is_replaced(life))
                return false;
        exchange_gone(exchange);
        relay_free(relay);
        life_end(life, GONE_REPLACED, REASON_replaced, NULL);
        return true;
}

/* Another client was attached while this `initialize` was at the backend, and keeps the session to itself. */
static bool answer_rejected(struct relay *relay, unsigned status)
{
        const struct worker *worker = relay->endpoint->worker;

        if (!relay->exchange->is_minted || status != 200 || worker->spec->attach != ATTACH_REJECT ||
            clients_count(worker->clients) == 0)
                return false;
        relay_fail_reason(relay, REASON_session_attached, NULL);
        return true;
}

static void on_backend_head(_unused_ struct http_conn *conn, const struct http_head *head, void *userdata)
{
        struct relay *relay = userdata;
        struct http_slice type, encoding;

        if (relay_redirect(relay, head) || answer_delete(relay) || answer_replaced(relay, head->status) ||
            answer_rejected(relay, head->status))
                return;
        /* One that an event of ours may be added to: nothing has encoded it. */
        relay->is_event_stream = http_head_get(head, "Content-Type", &type) == 0 && type.size >= 17 &&
                                 strncasecmp(type.data, "text/event-stream", 17) == 0 &&
                                 http_head_get(head, "Content-Encoding", &encoding) == -ENOENT;
        relay->newlines = 2;
        relay->is_answering = true;
        if (send_response_head(relay, head) < 0)
                relay_fail_reason(relay, REASON_internal, NULL);
}

static void on_backend_body(struct http_conn *conn, const void *data, size_t size, void *userdata)
{
        struct relay *relay = userdata;
        const char *bytes = data;

        for (size_t i = 0; relay->is_event_stream && i < size; i++)
                if (bytes[i] == '\n')
                        relay->newlines++;
                else if (bytes[i] != '\r')
                        relay->newlines = 0;
        exchange_send(relay->exchange, data, size);
        if (http_conn_is_full(relay->exchange->client))
                http_conn_pause(conn);
}

static void on_backend_end(_unused_ struct http_conn *conn, void *userdata)
{
        struct relay *relay = userdata;

        exchange_end(relay->exchange);
        relay_free(relay);
}

static void on_backend_drained(_unused_ struct http_conn *conn, void *userdata)
{
        struct relay *relay = userdata;

        http_conn_resume(relay->exchange->client);
}

static void on_backend_close(_unused_ struct http_conn *conn, int error, void *userdata)
{
        relay_break(userdata, error);
}

const struct http_conn_ops relay_answer_ops = {
        .on_head = on_backend_head,
        .on_body = on_backend_body,
        .on_end = on_backend_end,
        .on_drained = on_backend_drained,
        .on_close = on_backend_close,
};
