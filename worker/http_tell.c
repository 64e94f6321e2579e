#include "worker/http_tell.h"

#include "common/json_writer.h"

static void forget(struct http_endpoint *endpoint, struct http_conn *conn)
{
        for (size_t i = 0; i < HTTP_TELLS_MAX; i++)
                if (endpoint->tells[i] == conn)
                        endpoint->tells[i] = NULL;
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

static const struct http_conn_ops tell_ops = {
        .on_head = on_head, .on_body = on_body, .on_end = on_end, .on_close = on_close,
};

int http_tell_begin(struct http_conn *conn, const struct http_endpoint *endpoint, const char *method, const char *target)
{
        const struct http_slice name = { method, strlen(method) };
        int r = http_conn_start_request(conn, name, (struct http_slice) { target, strlen(target) });

        http_conn_set_close(conn);
        return r < 0 ? r : http_conn_add_header(conn, "Host", http_address_host(endpoint->address));
}

int http_tell_end(struct http_conn *conn, const char *session_id, const char *body, size_t size)
{
        int r = http_conn_add_header(conn, "Accept", "application/json, text/event-stream");
        if (r >= 0 && size > 0)
                r = http_conn_add_header(conn, "Content-Type", "application/json");
        if (r >= 0 && *session_id)
                r = http_conn_add_header(conn, "Mcp-Session-Id", session_id);
        if (r >= 0)
                r = http_conn_begin_body(conn, size > 0 ? HTTP_FRAMING_LENGTH : HTTP_FRAMING_NONE, size);
        if (r >= 0)
                r = http_conn_send(conn, body, size);
        return r < 0 ? r : http_conn_end(conn);
}

static void tell(struct http_endpoint *endpoint, const char *method, const char *target, const char *session_id,
                 const char *body, size_t size)
{
        struct http_conn **slot = &endpoint->tells[endpoint->next_tell++ % HTTP_TELLS_MAX];
        int fd = http_address_connect(endpoint->address);

        *slot = http_conn_free(*slot);
        if (fd < 0 || http_conn_new(endpoint->worker->base, fd, HTTP_CLIENT, &endpoint->limits, &tell_ops, endpoint, slot) < 0)
                return;
        if (http_tell_begin(*slot, endpoint, method, target) < 0 || http_tell_end(*slot, session_id, body, size) < 0)
                *slot = http_conn_free(*slot);
}

static void tell_cancelled(struct http_endpoint *endpoint, const char *target, const char *session_id,
                           struct json_slice request_id)
{
        struct json_writer w = { 0 };
        _cleanup_free_ char *body = NULL;
        size_t size = 0;

        json_writer_text(&w, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":");
        json_writer_raw(&w, request_id.data, request_id.size);
        json_writer_text(&w, ",\"reason\":\"deadline\"}}");
        if (json_writer_finish(&w, &body, &size) >= 0)
                tell(endpoint, "POST", target, session_id, body, size);
}

void http_tell_cancelled(struct http_endpoint *endpoint, const char *backend_id, struct json_slice request_id)
{
        tell_cancelled(endpoint, endpoint->mcp_path, backend_id, request_id);
}

void http_tell_cancelled_at(struct http_endpoint *endpoint, const char *target, struct json_slice request_id)
{
        tell_cancelled(endpoint, target, "", request_id);
}

void http_tell_ended(struct http_endpoint *endpoint, const char *backend_id)
{
        if (*backend_id)
                tell(endpoint, "DELETE", endpoint->mcp_path, backend_id, NULL, 0);
}

void http_tell_done(struct http_endpoint *endpoint)
{
        for (size_t i = 0; i < HTTP_TELLS_MAX; i++)
                endpoint->tells[i] = http_conn_free(endpoint->tells[i]);
}
