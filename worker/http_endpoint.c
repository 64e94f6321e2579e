#include "worker/http_endpoint.h"

#include "common/jsonrpc.h"
#include "worker/child.h"
#include "worker/exchange.h"
#include "worker/http_cancel.h"
#include "worker/life.h"
#include "worker/link.h"
#include "worker/log_ring.h"
#include "worker/relay.h"

#define LAST_LINES_MAX 50 /* a traceback */
#define LAST_BYTES_MAX (16u * 1024)

/* ---- who is attached -------------------------------------------------------------------------- */

const struct client *http_endpoint_client(const struct http_endpoint *endpoint, const char *client_id)
{
        const struct client *client = NULL;

        while ((client = clients_next(endpoint->worker->clients, client)))
                if (streq(client->transport_id, client_id))
                        return client;
        return NULL;
}

/* The identity that the client's `initialize` brought (common/identity.h); "" when none. */
static void identity_of_request(struct evbuffer *request, char ret[static IDENTITY_SIZE])
{
        struct jsonrpc_message message;
        struct json_slice client_info;
        size_t size = evbuffer_get_length(request);

        ret[0] = '\0';
        if (size > 0 && jsonrpc_parse((const char *) evbuffer_pullup(request, -1), size, &message) >= 0 &&
            json_get(message.params, "clientInfo", &client_info) >= 0 &&
            identity_from_client_info(client_info, ret) < 0)
                ret[0] = '\0';
}

static void on_alias_new(enum key_kind kind, const char *key, void *userdata)
{
        link_alias(userdata, kind, key, false);
}

static void on_alias_gone(enum key_kind kind, const char *key, void *userdata)
{
        link_alias(userdata, kind, key, true);
}

static void client_leave(struct http_endpoint *endpoint, struct client *client)
{
        struct worker *worker = endpoint->worker;

        clients_alias_of(worker->clients, client, true, on_alias_gone, worker->link);
        clients_detach(worker->clients, client);
        client_free(client);
        link_status_changed(worker->link);
}

/* Room for one more: the oldest client that has no request under way makes it. */
static bool make_room(struct http_endpoint *endpoint)
{
        struct client *client = NULL;

        while ((client = clients_next(endpoint->worker->clients, client))) {
                struct relay *relay = TAILQ_FIRST(&endpoint->relays);

                while (relay && !relay_is_of(relay, client->transport_id))
                        relay = relay_next(relay);
                if (relay)
                        continue;
                client_leave(endpoint, client);
                return true;
        }
        return false;
}

int http_endpoint_attach(struct http_endpoint *endpoint, struct exchange *exchange, const char *backend_id,
                         struct evbuffer *request)
{
        struct worker *worker = endpoint->worker;
        bool is_first = clients_count(worker->clients) == 0;
        char identity[IDENTITY_SIZE];
        struct client *client = NULL;

        identity_of_request(request, identity);
        int r = client_new(exchange->transport_id, identity, &client);

        if (r >= 0)
                r = STR_COPY(client->backend_id, backend_id);
        if (r >= 0)
                r = clients_attach(worker->clients, client);
        if (r == -ENOSPC && make_room(endpoint))
                r = clients_attach(worker->clients, client);
        if (r < 0) {
                client_free(client);
                return r;
        }
        clients_alias_of(worker->clients, client, false, on_alias_new, worker->link);
        link_status_changed(worker->link);
        return exchange_add_session_headers(exchange, client->transport_id, is_first ? "new" : "joined");
}

void http_endpoint_detach(struct http_endpoint *endpoint, const char *client_id)
{
        struct client *client = clients_find(endpoint->worker->clients, client_id);

        if (client)
                client_leave(endpoint, client);
        if (clients_count(endpoint->worker->clients) == 0 && !endpoint->worker->spec->is_managed)
                life_end(endpoint->worker->life, GONE_DELETED, REASON_session_ended, "its client ended it");
}

/* ---- the endpoint's operations ---------------------------------------------------------------- */

static void on_listening(void *userdata)
{
        struct http_endpoint *endpoint = userdata;

        endpoint->is_listening = true;
        life_ready(endpoint->worker->life);
        for (struct relay *relay = TAILQ_FIRST(&endpoint->relays), *next; relay; relay = next) {
                next = relay_next(relay);
                relay_start(relay);
        }
}

static void on_taken(const char *detail, void *userdata)
{
        struct http_endpoint *endpoint = userdata;

        life_end(endpoint->worker->life, GONE_START_FAILED, REASON_start_failed, detail);
}

static const struct http_address_ops address_ops = { .on_listening = on_listening, .on_taken = on_taken };

static int http_prepare(struct worker *worker)
{
        struct http_endpoint *endpoint = calloc(1, sizeof(*endpoint));

        if (!endpoint)
                return -ENOMEM;
        worker->endpoint_data = endpoint;
        endpoint->worker = worker;
        TAILQ_INIT(&endpoint->relays);
        endpoint->limits = http_limits_default();
        endpoint->mcp_path = strdup(worker->spec->http_path);
        if (!endpoint->mcp_path)
                return -ENOMEM;
        return http_address_new(worker, &address_ops, endpoint, &endpoint->address);
}

static int http_on_spawned(struct worker *worker)
{
        struct http_endpoint *endpoint = worker->endpoint_data;

        /* From the worker down: a server that daemonized is still the session's. */
        http_address_await(endpoint->address, getpid());
        return 0;
}

static bool is_mcp_path(struct http_slice path)
{
        return http_slice_is(path, "/mcp") || http_slice_is(path, "/mcp/");
}

static void http_on_request(struct worker *worker, struct exchange *exchange)
{
        struct http_endpoint *endpoint = worker->endpoint_data;
        bool is_mcp = is_mcp_path(exchange->path);
        struct relay *relay;

        if (exchange->is_minted && life_is_replaced(worker->life)) {
                exchange_gone(exchange);
                life_end(worker->life, GONE_REPLACED, REASON_replaced, NULL);
                return;
        }
        if (is_mcp && !exchange->is_minted && exchange->transport_id[0] &&
            !http_endpoint_client(endpoint, exchange->transport_id))
                exchange_refuse(exchange, REASON_unknown_session, NULL, NULL, 0);
        else if (relay_new(endpoint, exchange, is_mcp, &relay) < 0)
                exchange_refuse(exchange, REASON_internal, NULL, NULL, 0);
        else if (exchange->is_minted && clients_count(worker->clients) > 0 && worker->spec->attach == ATTACH_REJECT)
                relay_refuse(relay, REASON_session_attached);
        else if (endpoint->is_listening)
                relay_start(relay);
}

static void http_on_request_body(_unused_ struct worker *worker, struct exchange *exchange, const void *data, size_t size)
{
        relay_body(exchange->endpoint_data, data, size);
}

static void http_on_request_end(_unused_ struct worker *worker, struct exchange *exchange)
{
        relay_end_of_request(exchange->endpoint_data);
}

static void http_on_client_drained(_unused_ struct worker *worker, struct exchange *exchange)
{
        if (exchange->endpoint_data)
                relay_client_drained(exchange->endpoint_data);
}

static void http_on_client_gone(_unused_ struct worker *worker, struct exchange *exchange)
{
        if (exchange->endpoint_data)
                relay_client_gone(exchange->endpoint_data);
}

/* What the backend had sent is in its connections and still read; nothing to take from pipes. */
static void http_on_child_exited(_unused_ struct worker *worker)
{
}

/* A server that binds without SO_REUSEADDR cannot have a port that is held for it. */
static bool http_may_respawn(struct worker *worker)
{
        struct http_endpoint *endpoint = worker->endpoint_data;
        char **lines;
        bool is_port_in_use = false;

        if (log_ring_tail(worker->logs, LAST_LINES_MAX, LAST_BYTES_MAX, &lines) < 0)
                return false;
        for (char **line = lines; *line; line++)
                is_port_in_use |= strcasestr(*line, "address already in use") || strstr(*line, "EADDRINUSE");
        log_ring_tail_free(lines);
        return is_port_in_use && http_address_release(endpoint->address);
}

static void http_fail_all(struct worker *worker, const struct failure *failure)
{
        struct http_endpoint *endpoint = worker->endpoint_data;

        if (!endpoint)
                return;
        if (endpoint->address)
                http_address_stop(endpoint->address);
        for (struct relay *relay; (relay = TAILQ_FIRST(&endpoint->relays));)
                relay_fail(relay, failure);
}

/* An HTTP backend reads no standard input: SIGTERM is its first word. */
static void http_close_input(_unused_ struct worker *worker)
{
}

static void http_done(struct worker *worker)
{
        struct http_endpoint *endpoint = worker->endpoint_data;

        if (!endpoint)
                return;
        http_cancel_done(endpoint);
        http_address_free(endpoint->address);
        free(endpoint->mcp_path);
        free(endpoint);
        worker->endpoint_data = NULL;
}

const struct endpoint_ops endpoint_http = {
        .name = "http",
        .prepare = http_prepare,
        .on_spawned = http_on_spawned,
        .on_request = http_on_request,
        .on_request_body = http_on_request_body,
        .on_request_end = http_on_request_end,
        .on_client_drained = http_on_client_drained,
        .on_client_gone = http_on_client_gone,
        .on_child_exited = http_on_child_exited,
        .may_respawn = http_may_respawn,
        .fail_all = http_fail_all,
        .close_input = http_close_input,
        .done = http_done,
};
