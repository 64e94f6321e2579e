#include "worker/http_cancel.h"

#include "common/json_writer.h"

static void forget(struct http_endpoint *endpoint, struct http_conn *conn)
{
        for (size_t i = 0; i < HTTP_CANCELS_MAX; i++)
                if (endpoint->cancels[i] == conn)
                        endpoint->cancels[i] = NULL;
        http_conn_free(conn);
}

static void on_end(struct http_conn *conn, void *userdata)
{
        forget(userdata, conn);
}

static void on_close(struct http_conn *conn, _unused_ int error, void *userdata)
{
        forget(userdata, conn);
}

static void on_head(_unused_ struct http_conn *conn, _unused_ const struct http_head *head, _unused_ void *userdata)
{
}

static void on_body(_unused_ struct http_conn *conn, _unused_ const void *data, _unused_ size_t size,
                    _unused_ void *userdata)
{
}

static const struct http_conn_ops cancel_ops = {
        .on_head = on_head, .on_body = on_body, .on_end = on_end, .on_close = on_close,
};

static int send_notification(struct http_conn *conn, const struct http_endpoint *endpoint, const char *session_id,
                             struct json_slice request_id)
{
        static const struct http_slice method = { "POST", 4 };
        struct json_writer w = { 0 };
        _cleanup_free_ char *body = NULL;
        size_t size = 0;

        json_writer_text(&w, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":");
        json_writer_raw(&w, request_id.data, request_id.size);
        json_writer_text(&w, ",\"reason\":\"deadline\"}}");
        int r = json_writer_finish(&w, &body, &size);

        if (r >= 0)
                r = http_conn_start_request(conn, method, (struct http_slice) { endpoint->mcp_path, strlen(endpoint->mcp_path) });
        http_conn_set_close(conn);
        if (r >= 0)
                r = http_conn_add_header(conn, "Host", http_address_host(endpoint->address));
        if (r >= 0)
                r = http_conn_add_header(conn, "Accept", "application/json, text/event-stream");
        if (r >= 0)
                r = http_conn_add_header(conn, "Content-Type", "application/json");
        if (r >= 0 && *session_id)
                r = http_conn_add_header(conn, "Mcp-Session-Id", session_id);
        if (r >= 0)
                r = http_conn_begin_body(conn, HTTP_FRAMING_LENGTH, size);
        if (r >= 0)
                r = http_conn_send(conn, body, size);
        return r < 0 ? r : http_conn_end(conn);
}

void http_cancel_send(struct http_endpoint *endpoint, const char *client_id, struct json_slice request_id)
{
        const struct client *client = http_endpoint_client(endpoint, client_id);
        struct http_conn **slot = &endpoint->cancels[endpoint->next_cancel++ % HTTP_CANCELS_MAX];
        int fd = http_address_connect(endpoint->address);

        *slot = http_conn_free(*slot);
        if (fd < 0 || http_conn_new(endpoint->worker->base, fd, HTTP_CLIENT, &endpoint->limits, &cancel_ops, endpoint, slot) < 0)
                return;
        if (send_notification(*slot, endpoint, client ? client->backend_id : "", request_id) < 0)
                *slot = http_conn_free(*slot);
}

void http_cancel_done(struct http_endpoint *endpoint)
{
        for (size_t i = 0; i < HTTP_CANCELS_MAX; i++)
                endpoint->cancels[i] = http_conn_free(endpoint->cancels[i]);
}
