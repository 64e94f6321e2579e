#include "worker/stdio_endpoint.h"

#include "worker/child.h"
#include "worker/door.h"
#include "worker/exchange.h"
#include "worker/life.h"
#include "worker/link.h"
#include "worker/log_ring.h"
#include "worker/modern.h"
#include "worker/revive.h"

#define STREAM_SHARE 4 /* one client may leave this part of the session's budget unread */
#define STORE_SHARE 4  /* what streams that can be resumed keep, all together */
#define BROKEN_USEC USEC_PER_SEC /* the exit of a backend follows the end of its output at once, or never */

/* ---- the backend's output ---- */

static void on_line(char *line, size_t size, void *userdata)
{
        deliver_line(userdata, line, size);
}

static void on_long_line(uint64_t size, const struct id_scan *scan, void *userdata)
{
        struct stdio *stdio = userdata;
        struct failure failure = { .reason = REASON_backend_protocol, .detail = "a line over message_bytes_max" };

        log_ring_addf(stdio->worker->logs, LOG_STDOUT, "[a line of %llu bytes was dropped]", (unsigned long long) size);
        if (!id_scan_is_notification(scan))
                stdio_call_fail_lost(stdio, scan, &failure);
}

static void on_broken(void *userdata)
{
        struct stdio *stdio = userdata;
        struct timeval wait = usec_to_timeval(BROKEN_USEC);

        event_add(stdio->broken, &wait);
}

static void on_broken_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct stdio *stdio = userdata;
        bool is_starting = life_is_starting(stdio->worker->life);

        life_end(stdio->worker->life, is_starting ? GONE_START_FAILED : GONE_BACKEND_EXITED,
                 is_starting ? REASON_start_failed : REASON_backend_exited, "it closed its standard output or input");
}

static const struct stdio_pipe_ops pipe_ops = {
        .on_line = on_line,
        .on_long_line = on_long_line,
        .on_broken = on_broken,
};

/* ---- requests ---- */

static int get_begin(struct stdio *stdio, struct exchange *exchange)
{
        if (!http_head_lists(exchange->head, "Accept", "text/event-stream")) {
                exchange_refuse(exchange, REASON_not_acceptable, "text/event-stream", NULL, 0);
                return -EINVAL;
        }
        return 0;
}

static void get_end(struct stdio *stdio, struct exchange *exchange)
{
        struct client *client;
        enum reason reason;

        if (stdio->failure)
                return exchange_gone(exchange);
        if (!stdio_version_is_fine(stdio, exchange))
                return exchange_refuse(exchange, REASON_unsupported_version, NULL, NULL, 0);
        if (stdio_client_of(stdio, exchange, &client, &reason) < 0)
                return exchange_refuse(exchange, reason, NULL, NULL, 0);
        stdio_stream_get(stdio, exchange, client);
}

/* Clients send any Accept with a DELETE, and servers of 2024-11-05 never looked at it. */
static int any_begin(_unused_ struct stdio *stdio, _unused_ struct exchange *exchange)
{
        return 0;
}

static void delete_end(struct stdio *stdio, struct exchange *exchange)
{
        struct worker *worker = stdio->worker;
        struct failure failure = { .reason = REASON_session_ended, .detail = "its client deleted it" };
        struct client *client;

        if (!stdio_version_is_fine(stdio, exchange))
                return exchange_refuse(exchange, REASON_unsupported_version, NULL, NULL, 0);
        if (!exchange->transport_id[0])
                return exchange_refuse(exchange, REASON_session_required, NULL, NULL, 0);
        client = clients_find(worker->clients, exchange->transport_id);
        if (!client)
                return exchange_refuse(exchange, REASON_unknown_session, NULL, NULL, 0);
        stdio_client_leave(stdio, client, &failure);
        bool is_last = clients_count(worker->clients) == 0 && spec_ends_with_its_clients(worker->spec);

        exchange_respond(exchange, 200, NULL, NULL, NULL, 0);
        if (is_last)
                life_end(worker->life, GONE_DELETED, REASON_session_ended, failure.detail);
}

static const struct method {
        const char *path; /* with or without a final "/" */
        enum http_method method;
        int (*begin)(struct stdio *stdio, struct exchange *exchange);
        void (*end)(struct stdio *stdio, struct exchange *exchange);
} methods[] = {
        { "/mcp", HTTP_POST, post_begin, post_end },
        { "/mcp", HTTP_GET, get_begin, get_end },
        { "/mcp", HTTP_DELETE, any_begin, delete_end },
        { "/sse", HTTP_GET, any_begin, sse_get_end },
        { "/message", HTTP_POST, sse_message_begin, sse_message_end },
};

/* NULL, and whether anything has this path. */
static const struct method *method_find(const struct exchange *exchange, bool *ret_has_path)
{
        struct http_slice path = exchange->path;

        if (path.size > 1 && path.data[path.size - 1] == '/')
                path.size--;
        *ret_has_path = false;
        for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
                if (!http_slice_is(path, methods[i].path))
                        continue;
                if (methods[i].method == exchange->head->method)
                        return &methods[i];
                *ret_has_path = true;
        }
        return NULL;
}

static void on_request(struct worker *worker, struct exchange *exchange)
{
        bool has_path;
        const struct method *method = method_find(exchange, &has_path);

        if (method)
                (void) method->begin(worker->endpoint_data, exchange);
        else
                exchange_refuse(exchange, has_path ? REASON_method_not_allowed : REASON_unknown_path, NULL, NULL, 0);
}

static void on_request_body(struct worker *worker, struct exchange *exchange, const void *data, size_t size)
{
        if (exchange->endpoint_data)
                post_body(worker->endpoint_data, exchange, data, size);
}

static void on_request_end(struct worker *worker, struct exchange *exchange)
{
        bool has_path;

        method_find(exchange, &has_path)->end(worker->endpoint_data, exchange);
}

static void on_client_drained(_unused_ struct worker *worker, struct exchange *exchange)
{
        if (exchange->endpoint_data && exchange->is_received)
                stream_drained(exchange->endpoint_data);
}

static void on_room(struct worker *worker)
{
        deliver_throttle(worker->endpoint_data);
}

static void on_client_gone(struct worker *worker, struct exchange *exchange)
{
        if (!exchange->endpoint_data)
                return;
        if (exchange->is_received)
                stream_lost(exchange->endpoint_data);
        else
                post_free(worker->endpoint_data, exchange->endpoint_data);
}

/* ---- life ---- */

static int init(struct worker *worker)
{
        struct stdio *stdio = calloc(1, sizeof(*stdio));

        if (!stdio)
                return -ENOMEM;
        stdio->worker = worker;
        handshake_init(&stdio->handshake);
        sse_init(&stdio->sses);
        backlog_init(&stdio->unattached);
        modern_tools_init(stdio);
        stdio->half_bytes_max = worker->spec->buffer_bytes_max / 2;
        stdio->stream_bytes_max = worker->spec->buffer_bytes_max / STREAM_SHARE;
        worker->endpoint_data = stdio; /* freed by done(), complete or not */
        stdio->resumption.retry_usec = worker->spec->retry_usec;
        stdio->resumption.connection_usec_max = worker->spec->connection_usec;
        stdio->broken = evtimer_new(worker->base, on_broken_timer, stdio);
        int r = calls_new(worker->base, stdio_on_deadline, stdio, &stdio->calls);

        if (r >= 0)
                r = asked_new(&stdio->asked);
        if (r >= 0)
                r = modern_handles_init(stdio);
        if (r >= 0)
                r = revive_read(stdio);
        if (r >= 0)
                r = event_store_new(worker->spec->buffer_bytes_max / STORE_SHARE, &stdio->resumption.events);
        return r >= 0 && !stdio->broken ? -ENOMEM : r;
}

static int on_spawned(struct worker *worker)
{
        struct stdio *stdio = worker->endpoint_data;
        int r = stdio_pipe_new(worker->base, child_take_stdin(worker->child), child_take_stdout(worker->child),
                               worker->spec->message_bytes_max, &pipe_ops, stdio, &stdio->pipe);

        if (r >= 0)
                revive_begin(stdio);
        return r;
}

static int keep(struct worker *worker, char **ret)
{
        return revive_write(worker->endpoint_data, ret);
}

static void on_child_exited(struct worker *worker)
{
        struct stdio *stdio = worker->endpoint_data;

        event_del(stdio->broken);
        if (stdio->pipe)
                stdio_pipe_drain(stdio->pipe);
}

static void fail_all(struct worker *worker, const struct failure *failure)
{
        struct stdio *stdio = worker->endpoint_data;

        stdio->failure = failure;
        stdio_calls_fail(stdio, NULL, failure, false);
        modern_tools_fail(stdio, failure);
        handshake_fail_all(stdio, failure);
        sse_end_all(stdio);
        for (struct client *client = clients_next(worker->clients, NULL); client;
             client = clients_next(worker->clients, client))
                if (client->get_stream)
                        stream_end(TAKE_PTR(client->get_stream));
        stdio_streams_forget(stdio, NULL);
}

static size_t kept_bytes(const struct worker *worker)
{
        const struct stdio *stdio = worker->endpoint_data;

        return event_store_bytes(stdio->resumption.events);
}

static void on_quiet(struct worker *worker)
{
        modern_handles_settle(worker->endpoint_data);
}

static void close_input(struct worker *worker)
{
        struct stdio *stdio = worker->endpoint_data;

        if (stdio->pipe)
                stdio_pipe_close_input(stdio->pipe);
}

static void done(struct worker *worker)
{
        struct stdio *stdio = worker->endpoint_data;

        if (!stdio)
                return;
        for (struct event_log *log; stdio->resumption.events && (log = event_store_next(stdio->resumption.events, NULL));)
                stream_free(event_log_owner(log));
        event_store_free(stdio->resumption.events);
        stdio_pipe_free(stdio->pipe);
        calls_free(stdio->calls);
        asked_free(stdio->asked);
        handshake_done(&stdio->handshake);
        sse_done(&stdio->sses);
        backlog_done(&stdio->unattached);
        modern_tools_done(stdio);
        modern_handles_done(stdio);
        if (stdio->broken)
                event_free(stdio->broken);
        free(stdio);
}

const struct endpoint_ops endpoint_stdio = {
        .name = "stdio",
        .init = init,
        .on_spawned = on_spawned,
        .on_request = on_request,
        .on_request_body = on_request_body,
        .on_request_end = on_request_end,
        .on_client_drained = on_client_drained,
        .on_room = on_room,
        .on_client_gone = on_client_gone,
        .on_quiet = on_quiet,
        .on_child_exited = on_child_exited,
        .fail_all = fail_all,
        .keep = keep,
        .kept_bytes = kept_bytes,
        .close_input = close_input,
        .done = done,
};
