#include "worker/exchange.h"

#include "worker/door.h"
#include "worker/idle.h"
#include "worker/life.h"

#include <stdio.h>

#define RETRY_AFTER_SEC 1

static void finish(struct exchange *exchange)
{
        exchange->worker->requests++;
        door_exchange_free(exchange);
}

void exchange_respond(struct exchange *exchange, unsigned status, const char *content_type,
                      const struct exchange_header *headers, const void *data, size_t size)
{
        struct http_conn *client = exchange->client;

        (void) http_conn_start_response(client, status);
        for (; headers && headers->name; headers++)
                (void) http_conn_add_header(client, headers->name, headers->value);
        if (content_type) {
                (void) http_conn_add_header(client, "Content-Type", content_type);
                (void) http_conn_begin_body(client, HTTP_FRAMING_LENGTH, size);
                exchange_send(exchange, data, size);
        } else {
                (void) http_conn_begin_body(client, HTTP_FRAMING_NONE, 0);
        }
        exchange_end(exchange);
}

/* The session was made for a request that the backend never saw, and nobody else has come: it ends, instead
 * of waiting for its start deadline with a place, and the first start of its definition, taken. */
static void end_in_vain(struct worker *worker)
{
        if (life_is_starting(worker->life) && idle_in_flight(worker->idle) == 0)
                life_end(worker->life, GONE_DELETED, REASON_session_ended, "the request that began it was refused");
}

void exchange_fail(struct exchange *exchange, const struct failure *failure, const char *id_token, size_t id_size)
{
        struct worker *worker = exchange->worker;
        bool may_be_in_vain = exchange->is_created && !reason_is_infra(failure->reason);
        unsigned status = id_token ? reason_request_status(failure->reason) : reason_http_status(failure->reason);
        _cleanup_free_ char *body = NULL;
        char retry_after[16];
        struct exchange_header headers[2] = { 0 };
        size_t size;

        if (status == 503) {
                snprintf(retry_after, sizeof(retry_after), "%u",
                         failure->retry_after_sec > 0 ? failure->retry_after_sec : RETRY_AFTER_SEC);
                headers[0] = (struct exchange_header) { "Retry-After", retry_after };
        } else if (status == 405) {
                headers[0] = (struct exchange_header) { "Allow", "GET, POST, DELETE" };
        }
        if (failure_to_jsonrpc(failure, id_token, id_size, &body, &size) < 0)
                exchange_respond(exchange, status == 200 ? 503 : status, NULL, headers, NULL, 0);
        else
                exchange_respond(exchange, status, "application/json", headers, body, size);
        if (may_be_in_vain)
                end_in_vain(worker);
}

void exchange_refuse(struct exchange *exchange, enum reason reason, const char *detail, const char *id_token,
                     size_t id_size)
{
        struct failure failure = { .reason = reason, .detail = detail };

        exchange_fail(exchange, &failure, id_token, id_size);
}

int exchange_add_session_headers(struct exchange *exchange, const char *transport_id, const char *attach)
{
        const struct spec *spec = exchange->worker->spec;
        int r = http_conn_add_header(exchange->client, "Mcp-Session-Id", transport_id);

        if (r >= 0)
                r = http_conn_add_header(exchange->client, "Envmux-Session", spec->key);
        if (r >= 0)
                r = http_conn_add_headerf(exchange->client, "Envmux-Generation", "%llu", (unsigned long long) spec->generation);
        return r < 0 ? r : http_conn_add_header(exchange->client, "Envmux-Attach", attach);
}

void exchange_gone(struct exchange *exchange)
{
        static const struct exchange_header gone[] = { { "Envmux-Gone", "1" }, { NULL, NULL } };

        exchange_respond(exchange, 410, NULL, gone, NULL, 0);
}

void exchange_send(struct exchange *exchange, const void *data, size_t size)
{
        exchange->worker->bytes_out += size;
        (void) http_conn_send(exchange->client, data, size);
}

void exchange_end(struct exchange *exchange)
{
        struct http_conn *client = exchange->client;

        /* The engine may read the next request at once: the connection must be free for it by then. */
        finish(exchange);
        (void) http_conn_end(client);
}

void exchange_abort(struct exchange *exchange)
{
        struct http_conn *client = exchange->client;

        finish(exchange);
        http_conn_abort(client);
}

void exchange_uncount(struct exchange *exchange)
{
        if (!exchange->is_counted)
                return;
        exchange->is_counted = false;
        idle_release(exchange->worker->idle);
}
