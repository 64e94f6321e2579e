#include "ctl/fetch.h"

#include "common/fd.h"

struct fetch {
        struct event_base *base;
        struct event *deadline;
        struct http_limits limits;
        struct http_conn *conn;
        const struct fetch_handlers *handlers;
        void *userdata;
        bool is_done;
        int result;
};

static void fetch_end(struct fetch *fetch, int result)
{
        if (fetch->is_done)
                return;
        fetch->is_done = true;
        fetch->result = result;
        event_base_loopbreak(fetch->base);
}

static void on_head(_unused_ struct http_conn *conn, const struct http_head *head, void *userdata)
{
        struct fetch *fetch = userdata;

        fetch->handlers->on_head(head, fetch->userdata);
}

static void on_body(_unused_ struct http_conn *conn, const void *data, size_t size, void *userdata)
{
        struct fetch *fetch = userdata;

        if (!fetch->is_done && fetch->handlers->on_body(data, size, fetch->userdata))
                fetch_end(fetch, 0);
}

static void on_end(_unused_ struct http_conn *conn, void *userdata)
{
        fetch_end(userdata, 0);
}

static void on_close(_unused_ struct http_conn *conn, int error, void *userdata)
{
        fetch_end(userdata, error < 0 ? error : -ECONNRESET);
}

static void on_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        fetch_end(userdata, -ETIMEDOUT);
}

static const struct http_conn_ops ops = {
        .on_head = on_head,
        .on_body = on_body,
        .on_end = on_end,
        .on_close = on_close,
};

static struct http_slice slice_of(const char *text)
{
        return (struct http_slice) { .data = text, .size = strlen(text) };
}

static int send_request(struct fetch *fetch, const struct fetch_request *request)
{
        int r = http_conn_start_request(fetch->conn, slice_of(request->method), slice_of(request->target));

        for (size_t i = 0; r >= 0 && i < request->n_headers; i++)
                if (request->headers[i].value)
                        r = http_conn_add_header(fetch->conn, request->headers[i].name, request->headers[i].value);
        if (r >= 0)
                r = http_conn_begin_body(fetch->conn, request->body ? HTTP_FRAMING_LENGTH : HTTP_FRAMING_NONE,
                                         request->body_size);
        if (r >= 0 && request->body)
                r = http_conn_send(fetch->conn, request->body, request->body_size);
        return r < 0 ? r : http_conn_end(fetch->conn);
}

static int fetch_start(struct fetch *fetch, const struct fetch_request *request)
{
        const struct timeval timeout = usec_to_timeval(request->timeout_usec);
        int fd, r;

        fetch->deadline = event_new(fetch->base, -1, 0, on_deadline, fetch);
        if (!fetch->deadline || event_add(fetch->deadline, &timeout) < 0)
                return -ENOMEM;
        fetch->limits = http_limits_default();
        fd = http_connect_tcp(request->address, request->port);
        if (fd < 0)
                return fd;
        r = http_conn_new(fetch->base, fd, HTTP_CLIENT, &fetch->limits, &ops, fetch, &fetch->conn);
        if (r < 0)
                return r;
        r = send_request(fetch, request);
        /* The connection is over already: on_close will say why. */
        return r == -EPIPE ? 0 : r;
}

int fetch_run(const struct fetch_request *request, const struct fetch_handlers *handlers, void *userdata)
{
        struct fetch fetch = { .base = event_base_new(), .handlers = handlers, .userdata = userdata };
        int r = fetch.base ? fetch_start(&fetch, request) : -ENOMEM;

        if (r >= 0) {
                if (!fetch.is_done)
                        event_base_dispatch(fetch.base);
                r = fetch.result;
        }
        http_conn_free(fetch.conn);
        if (fetch.deadline)
                event_free(fetch.deadline);
        if (fetch.base)
                event_base_free(fetch.base);
        return r;
}
