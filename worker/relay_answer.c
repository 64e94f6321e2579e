#include "worker/relay_private.h"

#include "worker/exchange.h"
#include "worker/http_sse.h"

/* What starts with Envmux- is the worker's to say: a backend could have its own requests sent again. */
static bool header_is_answered(const struct http_head *head, const struct http_header *header)
{
        static const char ours[] = "Envmux-";

        return !http_head_is_hop_by_hop(head, header) && !http_slice_is_nocase(header->name, "Mcp-Session-Id") &&
               (header->name.size < strlen(ours) || strncasecmp(header->name.data, ours, strlen(ours)) != 0);
}

/* The client's own id stands for the one that the backend has for it. A modern answer has none. */
static int add_session_headers(const struct relay *relay, const struct http_head *head, const char *attach_word)
{
        struct exchange *exchange = relay->exchange;
        struct http_slice backend_id = { 0 };

        if (attach_word)
                return exchange_add_session_headers(exchange, exchange->transport_id, attach_word);
        if (relay->is_modern || exchange->is_minted || !exchange->transport_id[0] ||
            http_head_get(head, "Mcp-Session-Id", &backend_id) < 0)
                return 0;
        return http_conn_add_header(exchange->client, "Mcp-Session-Id", exchange->transport_id);
}

/* Comments make an event stream longer than the backend says; proxies on the way are not to wait for more of it. */
static int add_stream_headers(const struct relay *relay, const struct http_head *head)
{
        struct http_slice value;

        if (!relay->is_event_stream || http_head_get(head, "X-Accel-Buffering", &value) != -ENOENT)
                return 0;
        return http_conn_add_header(relay->exchange->client, "X-Accel-Buffering", "no");
}

static enum http_framing framing_of(const struct relay *relay, const struct http_head *head)
{
        if (head->has_content_length && !(relay->is_event_stream && head->has_body))
                return HTTP_FRAMING_LENGTH;
        return head->has_body ? HTTP_FRAMING_CHUNKED : HTTP_FRAMING_NONE;
}

static int send_head(const struct relay *relay, const struct http_head *head, const char *attach_word)
{
        struct http_conn *client = relay->exchange->client;
        int r = http_conn_start_response(client, head->status);

        for (size_t i = 0; r >= 0 && i < head->n_headers; i++)
                if (header_is_answered(head, &head->headers[i]))
                        r = http_conn_add_header_slice(client, head->headers[i].name, head->headers[i].value);
        if (r >= 0)
                r = add_session_headers(relay, head, attach_word);
        if (r >= 0)
                r = add_stream_headers(relay, head);
        return r < 0 ? r : http_conn_begin_body(client, framing_of(relay, head), head->content_length);
}

bool relay_answer_begin(struct relay *relay, const struct http_head *head, const char *attach_word)
{
        relay->is_event_stream = relay_events_can_be_read(head);
        relay->is_answering = true;
        if (send_head(relay, head, attach_word) < 0) {
                relay->is_event_stream = false;
                relay_fail_reason(relay, REASON_internal, NULL);
                return false;
        }
        if (relay->is_event_stream)
                relay_events_begin(relay);
        if (relay->is_event_stream)
                relay_answered_begin(relay);
        relay_single_begin(relay);
        return true;
}

/* Of the HTTP+SSE transport. */
static void pass_sse(struct relay *relay, const void *data, size_t size)
{
        struct exchange *exchange = relay->exchange;
        struct http_conn *backend = relay->backend;

        if (http_sse_pass(relay, data, size) && http_conn_is_full(exchange->client))
                http_conn_pause(backend);
}

void relay_answer_body(struct relay *relay, const void *data, size_t size)
{
        if (relay_is_sse_stream(relay))
                return pass_sse(relay, data, size);
        if (relay_single_body(relay, data, size))
                return;
        if (relay->is_event_stream)
                relay_events_pass(relay, data, size);
        else if (relay->exchange)
                exchange_send(relay->exchange, data, size);
        if (!relay->exchange && relay->tail.has_ids) {
                /* The client can ask for the rest, as soon as the backend knows that it left. */
                if (!relay_await(relay))
                        relay_free(relay);
        } else if (relay->exchange && http_conn_is_full(relay->exchange->client)) {
                http_conn_pause(relay->backend);
        }
}

/* DELETE ends the client's part here whatever the backend thinks of it: many answer 405. */
static bool answer_delete(struct relay *relay)
{
        struct http_endpoint *endpoint = relay->endpoint;
        struct exchange *exchange = relay->exchange;
        char client_id[IPC_KEY_SIZE];

        if (!relay->is_mcp || relay->is_modern || exchange->head->method != HTTP_DELETE)
                return false;
        (void) STR_COPY(client_id, relay->client_id);
        relay_free(relay);
        exchange_respond(exchange, 200, NULL, NULL, NULL, 0);
        http_endpoint_detach(endpoint, client_id);
        return true;
}

/* Nobody reads the answer; whether it can be asked for again is all that matters of it. */
static void on_head_unread(struct relay *relay, const struct http_head *head)
{
        relay->is_event_stream = relay_events_can_be_read(head);
}

static void on_backend_head(_unused_ struct http_conn *conn, const struct http_head *head, void *userdata)
{
        struct relay *relay = userdata;

        if (!relay->exchange)
                return on_head_unread(relay, head);
        relay->is_accepted = head->status < 300;
        if (relay->sse && relay->is_endless && !http_sse_begin(relay, head))
                return;
        if (!relay_redirect(relay, head) && !answer_delete(relay) && !relay_initialize_begin(relay, head))
                (void) relay_answer_begin(relay, head, NULL);
}

static void on_backend_body(_unused_ struct http_conn *conn, const void *data, size_t size, void *userdata)
{
        struct relay *relay = userdata;

        if (relay->judged)
                relay_initialize_body(relay, data, size);
        else
                relay_answer_body(relay, data, size);
}

static void on_backend_end(_unused_ struct http_conn *conn, void *userdata)
{
        struct relay *relay = userdata;

        if (relay->judged && !relay_initialize_end(relay))
                return;
        if (relay_is_sse_stream(relay)) /* this one has no end of its own */
                return relay_break(relay, 0);
        struct exchange *exchange = relay->exchange;

        relay_single_end(relay);
        if (exchange && relay->is_event_stream)
                relay_events_flush(relay);
        if (!relay_await(relay))
                relay_free(relay);
        if (exchange)
                exchange_end(exchange);
}

static void on_backend_drained(_unused_ struct http_conn *conn, void *userdata)
{
        struct relay *relay = userdata;

        if (relay->exchange)
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
