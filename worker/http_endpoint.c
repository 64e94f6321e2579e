#include "worker/http_endpoint.h"

#include "common/mcp.h"
#include "worker/child.h"
#include "worker/exchange.h"
#include "worker/http_adopt.h"
#include "worker/http_revive.h"
#include "worker/http_sse.h"
#include "worker/http_tell.h"
#include "worker/life.h"
#include "worker/log_ring.h"
#include "worker/relay.h"

#define LAST_LINES_MAX 50 /* a traceback */
#define LAST_BYTES_MAX (16u * 1024)

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
        http_adopt_listening(endpoint);
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
        TAILQ_INIT(&endpoint->sses);
        TAILQ_INIT(&endpoint->adoptions);
        endpoint->limits = http_limits_default();
        endpoint->mcp_path = strdup(worker->spec->http_path);
        if (!endpoint->mcp_path)
                return -ENOMEM;
        int r = relay_single_init(endpoint);

        if (r >= 0)
                r = http_revive_read(endpoint);
        return r < 0 ? r : http_address_new(worker, &address_ops, endpoint, &endpoint->address);
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

bool http_exchange_is_modern(const struct exchange *exchange)
{
        return !exchange->is_minted && mcp_head_is_modern(exchange->head);
}

/* A request of the revisions with sessions must name one that is here, or may leave it to the key by which it
 * came, except to end it. REASON__INVALID: nothing is wrong with it. */
static enum reason refusal_of_session(struct http_endpoint *endpoint, const struct exchange *exchange)
{
        if (exchange->is_minted || http_exchange_is_modern(exchange))
                return REASON__INVALID;
        if (!exchange->transport_id[0])
                return exchange->head->method == HTTP_DELETE ? REASON_session_required : REASON__INVALID;
        struct client *client = http_endpoint_client(endpoint, exchange->transport_id);

        if (client)
                clients_touch(endpoint->worker->clients, client);
        return client ? REASON__INVALID : REASON_unknown_session;
}

static void http_on_request(struct worker *worker, struct exchange *exchange)
{
        struct http_endpoint *endpoint = worker->endpoint_data;
        bool is_mcp = is_mcp_path(exchange->path), is_adopted = http_adopt_is_due(endpoint, exchange, is_mcp);
        enum reason refusal = is_mcp && !is_adopted ? refusal_of_session(endpoint, exchange) : REASON__INVALID;
        struct relay *relay;

        if (exchange->is_minted && life_is_replaced(worker->life)) {
                exchange_gone(exchange);
                life_end(worker->life, GONE_REPLACED, REASON_replaced, NULL);
                return;
        }
        if (!is_mcp && http_sse_request(endpoint, exchange))
                return;
        if (refusal != REASON__INVALID)
                exchange_refuse(exchange, refusal, NULL, NULL, 0);
        else if (relay_new(endpoint, exchange, is_mcp, &relay) < 0)
                exchange_refuse(exchange, REASON_internal, NULL, NULL, 0);
        else if (exchange->is_minted && clients_count(worker->clients) > 0 && worker->spec->attach == ATTACH_REJECT)
                relay_refuse(relay, REASON_session_attached);
        else if (is_adopted)
                http_adopt(relay);
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
        http_adopt_done(endpoint);
}

static int http_keep(struct worker *worker, char **ret)
{
        return http_revive_write(worker->endpoint_data, ret);
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
        http_adopt_done(endpoint);
        http_tell_done(endpoint);
        if (endpoint->settle)
                event_free(endpoint->settle);
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
        .keep = http_keep,
        .close_input = http_close_input,
        .done = http_done,
};
