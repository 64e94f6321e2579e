#include "worker/relay_private.h"

#include "worker/exchange.h"
#include "worker/carrier.h"
#include "worker/http_sse.h"

#define PARTIAL_BYTES_MAX (64u * 1024)

static void keepalive_arm(struct relay *relay)
{
        struct timeval wait = usec_to_timeval(CARRIER_KEEPALIVE_USEC);

        if (relay->keepalive)
                event_add(relay->keepalive, &wait);
}

static void on_keepalive(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        static const char comment[] = ": keepalive\n\n";
        struct relay *relay = userdata;

        if (!relay->exchange)
                return;
        if (!relay->is_torn && !http_conn_is_full(relay->exchange->client))
                exchange_send(relay->exchange, comment, sizeof(comment) - 1);
        keepalive_arm(relay);
}

bool relay_events_can_be_read(const struct http_head *head)
{
        static const char events[] = "text/event-stream";
        struct http_slice type, encoding;

        return http_head_get(head, "Content-Type", &type) == 0 && type.size >= strlen(events) &&
               strncasecmp(type.data, events, strlen(events)) == 0 &&
               http_head_get(head, "Content-Encoding", &encoding) == -ENOENT;
}

void relay_events_begin(struct relay *relay)
{
        relay->keepalive = evtimer_new(relay->endpoint->worker->base, on_keepalive, relay);
        keepalive_arm(relay);
}

/* Moves what is held back on. */
static void partial_send(struct relay *relay)
{
        size_t size = evbuffer_get_length(relay->partial);

        if (size == 0)
                return;
        exchange_send(relay->exchange, evbuffer_pullup(relay->partial, -1), size);
        evbuffer_drain(relay->partial, size);
        keepalive_arm(relay);
}

void relay_events_pass(struct relay *relay, const void *data, size_t size)
{
        size_t whole = event_tail_feed(&relay->tail, data, size);

        relay_answered_read(relay, data, size);
        if (!relay->exchange)
                return;
        if (whole > 0) {
                partial_send(relay);
                exchange_send(relay->exchange, data, whole);
                relay->is_torn = false;
                keepalive_arm(relay);
        }
        evbuffer_add(relay->partial, (const char *) data + whole, size - whole);
        if (evbuffer_get_length(relay->partial) > PARTIAL_BYTES_MAX)
                relay->is_torn = true;
        if (relay->is_torn)
                partial_send(relay);
}

void relay_events_flush(struct relay *relay)
{
        partial_send(relay);
}

void relay_events_fail(struct relay *relay, const struct failure *failure, struct json_slice id)
{
        struct exchange *exchange = relay->exchange;
        _cleanup_free_ char *body = NULL;
        size_t size;

        if (relay_is_sse_stream(relay))
                return http_sse_fail(relay, failure);
        if (((id.size == 0 && relay->is_endless) || relay->is_answered) && !relay->is_torn)
                return exchange_end(exchange);
        if (id.size == 0 || failure_to_jsonrpc(failure, id.data, id.size, &body, &size) < 0)
                return exchange_abort(exchange);
        /* Whoever reads the torn one finds that it is no message, and goes on. */
        if (relay->is_torn)
                exchange_send(exchange, "\n\n", 2);
        exchange_send(exchange, "event: message\ndata: ", 21);
        exchange_send(exchange, body, size);
        exchange_send(exchange, "\n\n", 2);
        exchange_end(exchange);
}
