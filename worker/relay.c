#include "worker/relay_private.h"

#include "common/jsonrpc.h"
#include "worker/exchange.h"
#include "worker/http_cancel.h"
#include "worker/relay_request.h"

#include <stdio.h>

#define RETAINED_BYTES_MAX (64u * 1024)
#define BROKEN_WAIT_USEC (100 * USEC_PER_MSEC)

void relay_free(struct relay *relay)
{
        TAILQ_REMOVE(&relay->endpoint->relays, relay, entry);
        http_conn_free(relay->backend);
        evbuffer_free(relay->retained);
        event_free(relay->deadline);
        free(relay);
}

/* The id of the JSON-RPC request that is on its way; false when there is none or it is not known. */
static bool relay_request_id(struct relay *relay, struct json_slice *ret)
{
        struct jsonrpc_message message;
        size_t size = evbuffer_get_length(relay->retained);

        if (!relay->is_mcp || !relay->is_retaining || !relay->is_request_complete || size == 0)
                return false;
        if (jsonrpc_parse((const char *) evbuffer_pullup(relay->retained, -1), size, &message) < 0 ||
            message.kind != JSONRPC_REQUEST)
                return false;
        *ret = message.id;
        return true;
}

/* An event of our own after the last whole one. */
static void stream_error(struct relay *relay, const struct failure *failure, struct json_slice id)
{
        _cleanup_free_ char *body = NULL;
        size_t size;

        if (failure_to_jsonrpc(failure, id.data, id.size, &body, &size) < 0) {
                exchange_abort(relay->exchange);
                return;
        }
        exchange_send(relay->exchange, "event: message\ndata: ", 21);
        exchange_send(relay->exchange, body, size);
        exchange_send(relay->exchange, "\n\n", 2);
        exchange_end(relay->exchange);
}

void relay_fail(struct relay *relay, const struct failure *failure)
{
        struct json_slice id = { 0 };
        bool has_id = relay_request_id(relay, &id);

        /* Who was on its way in when somebody else replaced the session finds the next one. */
        if (!relay->is_answering && relay->exchange->is_minted && failure->reason == REASON_replaced)
                exchange_gone(relay->exchange);
        else if (!relay->is_answering)
                exchange_fail(relay->exchange, failure, has_id ? id.data : NULL, has_id ? id.size : 0);
        else if (relay->is_event_stream && has_id && relay->newlines >= 2)
                stream_error(relay, failure, id);
        else
                exchange_abort(relay->exchange);
        relay_free(relay);
}

void relay_fail_reason(struct relay *relay, enum reason reason, const char *detail)
{
        const struct failure failure = { .reason = reason, .detail = detail };

        relay_fail(relay, &failure);
}

static void on_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct relay *relay = userdata;
        struct json_slice id;

        if (relay->is_broken) {
                relay_fail_reason(relay, REASON_backend_protocol,
                                  relay->broken_by ? strerror(-relay->broken_by)
                                                   : "it closed the connection before its answer was complete");
                return;
        }
        if (relay_request_id(relay, &id))
                http_cancel_send(relay->endpoint, relay->exchange->transport_id, id);
        relay_fail_reason(relay, REASON_deadline, NULL);
}

int relay_new(struct http_endpoint *endpoint, struct exchange *exchange, bool is_mcp, struct relay **ret)
{
        struct relay *relay = calloc(1, sizeof(*relay));

        if (!relay)
                return -ENOMEM;
        relay->endpoint = endpoint;
        relay->exchange = exchange;
        relay->is_mcp = is_mcp;
        relay->is_retaining = true;
        relay->retained = evbuffer_new();
        relay->deadline = evtimer_new(endpoint->worker->base, on_deadline, relay);
        TAILQ_INSERT_TAIL(&endpoint->relays, relay, entry);
        if (!relay->retained || !relay->deadline) {
                TAILQ_REMOVE(&endpoint->relays, relay, entry);
                if (relay->retained)
                        evbuffer_free(relay->retained);
                free(relay);
                return -ENOMEM;
        }
        /* The stream of server messages has no end to wait for, and keeps nothing alive. */
        relay->is_endless = is_mcp && exchange->head->method == HTTP_GET;
        if (relay->is_endless)
                exchange_uncount(exchange);
        exchange->endpoint_data = relay;
        *ret = relay;
        return 0;
}

void relay_break(struct relay *relay, int error)
{
        struct timeval wait = usec_to_timeval(BROKEN_WAIT_USEC);

        relay->is_broken = true;
        relay->broken_by = error;
        relay->backend = http_conn_free(relay->backend);
        http_conn_pause(relay->exchange->client);
        event_add(relay->deadline, &wait);
}

/* ---- towards the backend ---------------------------------------------------------------------- */

int relay_send(struct relay *relay)
{
        struct http_endpoint *endpoint = relay->endpoint;
        size_t size = evbuffer_get_length(relay->retained);
        int fd = http_address_connect(endpoint->address);

        if (fd < 0)
                return fd;
        relay->asked_with_slash = relay_path_has_slash(endpoint->mcp_path);
        int r = http_conn_new(endpoint->worker->base, fd, HTTP_CLIENT, &endpoint->limits, &relay_answer_ops, relay,
                              &relay->backend);

        if (r < 0)
                return r;
        r = relay_request_send_head(relay->backend, relay->endpoint, relay->exchange, relay->is_mcp);
        if (r >= 0 && size > 0)
                r = http_conn_send(relay->backend, evbuffer_pullup(relay->retained, -1), size);
        if (r >= 0 && relay->is_request_complete)
                r = http_conn_end(relay->backend);
        return r;
}

/* Counts from here on: the start of the backend has a deadline of its own. */
static void deadline_arm(struct relay *relay)
{
        usec_t usec = relay->endpoint->worker->spec->request_usec;
        struct timeval wait = usec_to_timeval(usec);

        if (!relay->is_endless && usec != USEC_INFINITY)
                event_add(relay->deadline, &wait);
}

void relay_start(struct relay *relay)
{
        if (relay->is_refused)
                return;
        int r = relay_send(relay);

        deadline_arm(relay);
        if (r < 0) {
                relay_break(relay, r);
                return;
        }
        if (evbuffer_get_length(relay->retained) > RETAINED_BYTES_MAX) {
                relay->is_retaining = false;
                evbuffer_drain(relay->retained, evbuffer_get_length(relay->retained));
        }
        http_conn_resume(relay->exchange->client);
}

void relay_refuse(struct relay *relay, enum reason reason)
{
        relay->is_refused = true;
        relay->refusal = reason;
}

void relay_body(struct relay *relay, const void *data, size_t size)
{
        if (relay->is_refused && evbuffer_get_length(relay->retained) + size > RETAINED_BYTES_MAX) {
                relay_fail_reason(relay, relay->refusal, NULL);
                return;
        }
        if (!relay->backend || (relay->is_retaining && evbuffer_get_length(relay->retained) + size <= RETAINED_BYTES_MAX))
                evbuffer_add(relay->retained, data, size);
        else
                relay->is_retaining = false;
        if (!relay->backend) {
                if (evbuffer_get_length(relay->retained) > RETAINED_BYTES_MAX)
                        http_conn_pause(relay->exchange->client);
                return;
        }
        (void) http_conn_send(relay->backend, data, size);
        if (http_conn_is_full(relay->backend))
                http_conn_pause(relay->exchange->client);
}

void relay_end_of_request(struct relay *relay)
{
        relay->is_request_complete = true;
        if (relay->is_refused) {
                relay_fail_reason(relay, relay->refusal, NULL);
                return;
        }
        if (relay->backend)
                (void) http_conn_end(relay->backend);
}

struct relay *relay_next(struct relay *relay)
{
        return TAILQ_NEXT(relay, entry);
}

void relay_client_drained(struct relay *relay)
{
        if (relay->backend)
                http_conn_resume(relay->backend);
}

bool relay_is_of(const struct relay *relay, const char *transport_id)
{
        return streq(relay->exchange->transport_id, transport_id);
}

void relay_client_gone(struct relay *relay)
{
        relay_free(relay);
}
