#include "router/forward.h"

#include "common/json_writer.h"
#include "common/log.h"
#include "router/cors.h"
#include "router/router.h"
#include "router/stateless.h"
#include "router/table.h"

static const struct http_conn_ops upstream_ops;

/* The pool of the session's worker; the caller gets a reference. */
static int upstream_of(struct exchange *e, const char *session_id, struct upstream **ret)
{
        struct upstreams *all = &e->router->upstreams;
        struct session *session = table_find_id(e->router->table, session_id);

        if (!session) /* resolved, but not pushed yet: a pool for this request alone */
                return upstream_new(all, session_id, ret);
        if (!session->upstream) {
                int r = upstream_new(all, session_id, &session->upstream);

                if (r < 0)
                        return r;
        }
        *ret = upstream_ref(session->upstream);
        return 0;
}

/* The worker did not look at the request: another one may be found for it. */
static void forward_retry(struct exchange *e)
{
        e->upstream = upstream_drop(e->upstream);
        if (e->body.is_partial)
                return exchange_fail_reason(e, REASON_stopping, "the request was too long to be sent again");
        if (e->n_retries++ >= RETRIES_MAX)
                return exchange_fail_reason(e, REASON_worker_lost, NULL);
        if (stateless_prepare_retry(e))
                exchange_resolve(e, e->session_id);
}

static bool header_is_ours(const struct http_header *header)
{
        static const char prefix[] = "Envmux-";

        return header->name.size >= sizeof(prefix) - 1 &&
               strncasecmp(header->name.data, prefix, sizeof(prefix) - 1) == 0;
}

/* Expect ends here too: the 100 was this hop's. */
static bool header_passes_up(const struct http_head *head, const struct http_header *header)
{
        return !header_is_ours(header) && !http_slice_is_nocase(header->name, "Expect") &&
               !http_head_is_hop_by_hop(head, header);
}

static void send_head(struct exchange *e, struct http_conn *up)
{
        const struct http_head *head = e->head;

        http_conn_start_request(up, head->method_name, e->route.rest);
        for (size_t i = 0; i < head->n_headers; i++)
                if (header_passes_up(head, &head->headers[i]))
                        http_conn_add_header_slice(up, head->headers[i].name, head->headers[i].value);
        if (e->minted[0])
                http_conn_add_header(up, "Envmux-Transport", e->minted);
        if (e->route.kind == ROUTE_SSE && route_prefix(&e->route, head->target).size > 0)
                http_conn_add_header_slice(up, (struct http_slice) { "Envmux-Prefix", 13 },
                                           route_prefix(&e->route, head->target));
        if (e->is_created)
                http_conn_add_header(up, "Envmux-Created", "1");
        if (head->has_content_length)
                http_conn_begin_body(up, HTTP_FRAMING_LENGTH, head->content_length);
        else if (head->has_body)
                http_conn_begin_body(up, HTTP_FRAMING_CHUNKED, 0);
        else
                http_conn_begin_body(up, HTTP_FRAMING_NONE, 0);
}

static void send_request(struct exchange *e)
{
        struct http_conn *up = e->upstream->http;

        send_head(e, up);
        if (e->body.size)
                http_conn_send(up, e->body.data, e->body.size);
        if (e->is_ended)
                http_conn_end(up);
        if (e->body.size > KEEP_BYTES_MAX && !e->minted[0])
                body_drop(&e->body);
}

void forward_start(struct exchange *e, const char *session_id)
{
        struct upstream *upstream = NULL;

        STR_COPY(e->session_id, session_id);
        int r = upstream_of(e, session_id, &upstream);

        if (r == 0)
                r = upstream_acquire(upstream, &upstream_ops, e, &e->upstream);
        upstream_unref(upstream);
        if (r == 0) {
                exchange_enter(e, EXCHANGE_FORWARDING);
                send_request(e);
                return;
        }
        log_debug("session %s: connect: %s", session_id, strerror(-r));
        if (r == -ECONNREFUSED || r == -ENOENT)
                forward_retry(e);
        else
                exchange_fail_reason(e, r == -EAGAIN ? REASON_overloaded : REASON_internal, NULL);
}

void forward_body(struct exchange *e, const void *data, size_t size)
{
        if (body_budget_is_low(e->body.budget))
                body_drop(&e->body);
        (void) body_append(&e->body, data, size, KEEP_BYTES_MAX);
        http_conn_send(e->upstream->http, data, size);
        if (http_conn_is_full(e->upstream->http))
                http_conn_pause(e->client);
}

void forward_end(struct exchange *e)
{
        http_conn_end(e->upstream->http);
}

static void on_upstream_drained(struct http_conn *up, void *userdata)
{
        struct exchange *e = userdata;

        http_conn_resume(e->client);
}

static bool answer_is_gone(const struct http_head *head)
{
        struct http_slice value;

        return head->status == 410 && http_head_get(head, "Envmux-Gone", &value) == 0 && http_slice_is(value, "1");
}

/* An error event can be added to a stream of events that nothing has encoded. */
static bool answer_is_event_stream(const struct http_head *head)
{
        static const char type[] = "text/event-stream";
        struct http_slice value;

        return http_head_get(head, "Content-Encoding", &value) == -ENOENT && !head->has_content_length &&
               http_head_get(head, "Content-Type", &value) == 0 && value.size >= sizeof(type) - 1 &&
               strncasecmp(value.data, type, sizeof(type) - 1) == 0;
}

static void on_upstream_head(struct http_conn *up, const struct http_head *head, void *userdata)
{
        struct exchange *e = userdata;

        if (answer_is_gone(head))
                return forward_retry(e);
        http_conn_start_response(e->client, head->status);
        for (size_t i = 0; i < head->n_headers; i++)
                if (!http_head_is_hop_by_hop(head, &head->headers[i]) &&
                    !(e->origin.size > 0 && cors_is_ours(&head->headers[i])))
                        http_conn_add_header_slice(e->client, head->headers[i].name, head->headers[i].value);
        cors_add_headers(e->client, e->origin);
        if (head->has_content_length)
                http_conn_begin_body(e->client, HTTP_FRAMING_LENGTH, head->content_length);
        else
                http_conn_begin_body(e->client, head->has_body ? HTTP_FRAMING_CHUNKED : HTTP_FRAMING_NONE, 0);
        e->is_event_stream = answer_is_event_stream(head);
        memcpy(e->tail, "\n\n\n\n", sizeof(e->tail));
        if (!e->is_event_stream || e->body.size > KEEP_BYTES_MAX || body_budget_is_low(e->body.budget))
                body_drop(&e->body);
}

static void tail_remember(struct exchange *e, const char *data, size_t size)
{
        size_t n = MIN_OF(size, sizeof(e->tail));

        memmove(e->tail, e->tail + n, sizeof(e->tail) - n);
        memcpy(e->tail + sizeof(e->tail) - n, data + size - n, n);
}

static void on_upstream_body(struct http_conn *up, const void *data, size_t size, void *userdata)
{
        struct exchange *e = userdata;

        http_conn_send(e->client, data, size);
        if (e->is_event_stream)
                tail_remember(e, data, size);
        if (http_conn_is_full(e->client))
                http_conn_pause(up);
}

static void on_upstream_end(struct http_conn *up, void *userdata)
{
        struct exchange *e = userdata;

        upstream_release(TAKE_PTR(e->upstream));
        http_conn_end(e->client);
        exchange_answered(e);
}

/* The worker is dead or broke the protocol: nothing is sent again that it may have acted on. */
static void on_upstream_close(struct http_conn *up, int error, void *userdata)
{
        struct exchange *e = userdata;
        bool is_untouched = http_conn_is_untouched(up);

        e->upstream = upstream_drop(e->upstream);
        log_debug("session %s: connection lost: %s", e->session_id, error ? strerror(-error) : "closed");
        if (is_untouched && !http_conn_is_responding(e->client))
                forward_retry(e);
        else
                exchange_fail_reason(e, error == -EPROTO ? REASON_backend_protocol : REASON_worker_lost, NULL);
}

static const struct http_conn_ops upstream_ops = {
        .on_head = on_upstream_head,
        .on_body = on_upstream_body,
        .on_end = on_upstream_end,
        .on_drained = on_upstream_drained,
        .on_close = on_upstream_close,
};

/* True where an event added now would not become part of a torn one. */
static bool tail_is_event_end(const char tail[static 4])
{
        return memcmp(tail + 2, "\n\n", 2) == 0 || memcmp(tail + 2, "\r\r", 2) == 0 ||
               memcmp(tail, "\r\n\r\n", 4) == 0;
}

/* The failure as an event, for the request whose id is known. */
static int event_of_failure(struct exchange *e, const struct failure *failure, char **ret, size_t *ret_size)
{
        _cleanup_json_writer_ struct json_writer w = {};
        _cleanup_free_ char *text = NULL;
        struct json_slice id = exchange_request_id(e);
        size_t size;

        if (!id.size)
                return -ENOENT;
        int r = failure_to_jsonrpc(failure, id.data, id.size, &text, &size);

        if (r < 0)
                return r;
        json_writer_text(&w, "event: message\ndata: ");
        json_writer_raw(&w, text, size);
        json_writer_text(&w, "\n\n");
        return json_writer_finish(&w, ret, ret_size);
}

void forward_break(struct exchange *e, const struct failure *failure)
{
        _cleanup_free_ char *event = NULL;
        size_t size;

        if (e->is_event_stream && tail_is_event_end(e->tail) && event_of_failure(e, failure, &event, &size) == 0)
                http_conn_send(e->client, event, size);
        exchange_enter(e, EXCHANGE_BROKEN);
        http_conn_abort(e->client);
}
