#include "worker/door.h"

#include "common/fd.h"
#include "common/http/target.h"
#include "common/log.h"
#include "common/mcp.h"
#include "worker/exchange.h"
#include "worker/farewell.h"
#include "worker/idle.h"

#include <stdio.h>
#include <sys/queue.h>

#define CONNECTIONS_MAX 512u /* below what one process may open */
#define HEAD_USEC (10 * USEC_PER_SEC)
#define BODY_USEC USEC_PER_MINUTE
#define WRITE_USEC (2 * USEC_PER_MINUTE)

struct connection {
        TAILQ_ENTRY(connection) entry;
        struct door *door;
        struct http_conn *http;
        struct exchange *exchange; /* NULL between requests, and while the rest of an answered one comes in */
};

struct door {
        struct worker *worker;
        struct http_listener *listener;
        struct http_limits limits;
        TAILQ_HEAD(, connection) connections;
        unsigned n_connections;
        bool is_closed;
        const struct failure *failure; /* why it is closed; NULL: no failure */
};

void door_exchange_free(struct exchange *exchange)
{
        struct worker *worker = exchange->worker;
        bool is_counted = exchange->is_counted;

        exchange->connection->exchange = NULL;
        if (exchange->farewell)
                farewell_free(exchange);
        free(exchange);
        if (is_counted)
                idle_release(worker->idle);
}

static void connection_free(struct connection *connection)
{
        struct door *door = connection->door;

        TAILQ_REMOVE(&door->connections, connection, entry);
        if (door->n_connections-- == CONNECTIONS_MAX)
                http_listener_resume(door->listener);
        http_conn_free(connection->http);
        free(connection);
}

/* The value of a header that is an id: visible ASCII, given once. "" when absent. */
static int id_header(const struct http_head *head, const char *name, char ret[static IPC_KEY_SIZE])
{
        struct http_slice value;
        int r = http_head_get(head, name, &value);

        if (r == -ENOENT)
                return 0;
        if (r < 0 || value.size == 0 || value.size >= IPC_KEY_SIZE)
                return -EINVAL;
        for (size_t i = 0; i < value.size; i++)
                if (value.data[i] < 0x21 || value.data[i] > 0x7e)
                        return -EINVAL;
        memcpy(ret, value.data, value.size);
        ret[value.size] = '\0';
        return 0;
}

static int exchange_fill(struct exchange *exchange, const struct http_head *head)
{
        struct http_slice created;

        exchange->head = head;
        target_split(head->target, &exchange->path, &exchange->query);
        exchange->is_created = http_head_get(head, "Envmux-Created", &created) == 0;
        int r = id_header(head, "Envmux-Transport", exchange->transport_id);

        exchange->is_minted = r == 0 && exchange->transport_id[0];
        if (r == 0 && !exchange->is_minted)
                r = id_header(head, "Mcp-Session-Id", exchange->transport_id);
        return mcp_head_is_modern(head) ? 0 : r; /* stateless requests have no session id, whatever they carry */
}

static void on_head(struct http_conn *conn, const struct http_head *head, void *userdata)
{
        struct connection *connection = userdata;
        struct worker *worker = connection->door->worker;
        struct exchange *exchange = calloc(1, sizeof(*exchange));

        if (!exchange) {
                http_conn_abort(conn);
                return;
        }
        exchange->worker = worker;
        exchange->connection = connection;
        exchange->client = conn;
        connection->exchange = exchange;
        exchange->is_counted = true;
        idle_hold(worker->idle);
        int r = exchange_fill(exchange, head);

        if (connection->door->is_closed && connection->door->failure)
                farewell_request(exchange, connection->door->failure);
        else if (connection->door->is_closed)
                exchange_gone(exchange);
        else if (r < 0)
                exchange_refuse(exchange, REASON_bad_request, "a session header is not one word", NULL, 0);
        else
                worker->endpoint->on_request(worker, exchange);
}

static void on_body(_unused_ struct http_conn *conn, const void *data, size_t size, void *userdata)
{
        struct connection *connection = userdata;
        struct worker *worker = connection->door->worker;

        worker->bytes_in += size;
        if (connection->exchange && connection->exchange->farewell)
                farewell_body(connection->exchange, data, size);
        else if (connection->exchange)
                worker->endpoint->on_request_body(worker, connection->exchange, data, size);
}

static void on_end(_unused_ struct http_conn *conn, void *userdata)
{
        struct connection *connection = userdata;
        struct worker *worker = connection->door->worker;

        if (!connection->exchange)
                return;
        connection->exchange->is_received = true;
        if (connection->exchange->farewell)
                farewell_end(connection->exchange);
        else
                worker->endpoint->on_request_end(worker, connection->exchange);
}

static void tell_room(struct worker *worker)
{
        if (worker->endpoint->on_room)
                worker->endpoint->on_room(worker);
}

static void on_drained(_unused_ struct http_conn *conn, void *userdata)
{
        struct connection *connection = userdata;
        struct worker *worker = connection->door->worker;

        if (connection->exchange && !connection->exchange->farewell)
                worker->endpoint->on_client_drained(worker, connection->exchange);
        tell_room(worker);
}

static const char *error_body(unsigned status, const char *why, char **ret_body, size_t *ret_size)
{
        struct failure failure = { .reason = REASON_bad_request, .detail = why };

        if (status == 413)
                failure = (struct failure) { .reason = REASON_body_too_large, .detail = "message_max" };
        else if (status == 431)
                failure.reason = REASON_head_too_large;

        return failure_to_jsonrpc(&failure, NULL, 0, ret_body, ret_size) < 0 ? NULL : "application/json";
}

static void forget_exchange(struct connection *connection)
{
        struct exchange *exchange = connection->exchange;
        struct worker *worker = connection->door->worker;

        if (!exchange)
                return;
        if (!exchange->farewell)
                worker->endpoint->on_client_gone(worker, exchange);
        door_exchange_free(exchange);
}

static void on_error(struct http_conn *conn, unsigned status, const char *why, void *userdata)
{
        struct connection *connection = userdata;
        _cleanup_free_ char *body = NULL;
        size_t size = 0;

        forget_exchange(connection);
        if (http_conn_is_responding(conn))
                return;
        const char *type = error_body(status, why, &body, &size);

        (void) http_conn_start_response(conn, status);
        if (type)
                (void) http_conn_add_header(conn, "Content-Type", type);
        (void) http_conn_begin_body(conn, HTTP_FRAMING_LENGTH, size);
        (void) http_conn_send(conn, body, size);
        (void) http_conn_end(conn);
}

static void on_close(_unused_ struct http_conn *conn, _unused_ int error, void *userdata)
{
        struct connection *connection = userdata;
        struct worker *worker = connection->door->worker;

        forget_exchange(connection);
        connection_free(connection);
        tell_room(worker);
}

static const struct http_conn_ops conn_ops = {
        .on_head = on_head,
        .on_body = on_body,
        .on_end = on_end,
        .on_drained = on_drained,
        .on_error = on_error,
        .on_close = on_close,
};

static void on_accept(_unused_ struct http_listener *listener, int fd, void *userdata)
{
        struct door *door = userdata;
        struct connection *connection = calloc(1, sizeof(*connection));

        if (!connection) {
                fd_close(fd);
                return;
        }
        connection->door = door;
        int r = http_conn_new(door->worker->base, fd, HTTP_SERVER, &door->limits, &conn_ops, connection,
                              &connection->http);

        if (r < 0) {
                log_warning_errno(r, "cannot take a connection");
                free(connection);
                return;
        }
        TAILQ_INSERT_TAIL(&door->connections, connection, entry);
        if (++door->n_connections == CONNECTIONS_MAX)
                http_listener_pause(door->listener);
}

int door_new(struct worker *worker, int listen_fd_consume, struct door **ret)
{
        _cleanup_fd_ int fd = listen_fd_consume;
        struct door *door = calloc(1, sizeof(*door));

        if (!door)
                return -ENOMEM;
        door->worker = worker;
        TAILQ_INIT(&door->connections);
        door->limits = http_limits_default();
        door->limits.body_bytes_max = worker->spec->message_bytes_max;
        door->limits.idle_usec = 0; /* only routers close idle connections: a reset then means a dead worker */
        door->limits.head_usec = HEAD_USEC;
        door->limits.body_usec = BODY_USEC;
        door->limits.write_usec = WRITE_USEC;
        int r = fd_nonblock(fd, true);

        if (r >= 0)
                r = http_listener_new(worker->base, TAKE_FD(fd), false, on_accept, door, &door->listener);
        if (r < 0) {
                free(door);
                return r;
        }
        *ret = door;
        return 0;
}

struct door *door_free(struct door *door)
{
        struct connection *connection;

        if (!door)
                return NULL;
        while ((connection = TAILQ_FIRST(&door->connections))) {
                TAILQ_REMOVE(&door->connections, connection, entry);
                http_conn_free(connection->http);
                if (connection->exchange && connection->exchange->farewell)
                        farewell_free(connection->exchange);
                free(connection->exchange);
                free(connection);
        }
        http_listener_free(door->listener);
        free(door);
        return NULL;
}

void door_close(struct door *door, const struct failure *failure)
{
        door->is_closed = true;
        door->failure = failure;
}

bool door_is_flushed(const struct door *door)
{
        const struct connection *connection;

        TAILQ_FOREACH(connection, &door->connections, entry)
                if (connection->exchange || http_conn_pending_bytes(connection->http) > 0)
                        return false;
        return true;
}

size_t door_stalled_bytes(const struct door *door)
{
        const struct connection *connection;
        size_t bytes = 0;

        TAILQ_FOREACH(connection, &door->connections, entry)
                if (http_conn_is_full(connection->http))
                        bytes += http_conn_pending_bytes(connection->http);
        return bytes;
}

size_t door_pending_bytes(const struct door *door)
{
        const struct connection *connection;
        size_t bytes = 0;

        TAILQ_FOREACH(connection, &door->connections, entry)
                bytes += http_conn_pending_bytes(connection->http);
        return bytes;
}
