#include "worker/carrier.h"

#include "worker/exchange.h"

#include <stdio.h>

struct carrier {
        struct exchange *exchange;
        struct event *silence;
        bool is_begun;
        void (*on_silence)(void *userdata);
        void *userdata;
};

void carrier_wait(struct carrier *carrier, usec_t wait_usec)
{
        struct timeval wait = usec_to_timeval(wait_usec);

        event_add(carrier->silence, &wait);
}

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct carrier *carrier = userdata;

        carrier_wait(carrier, CARRIER_KEEPALIVE_USEC);
        carrier->on_silence(carrier->userdata);
}

int carrier_new(struct exchange *exchange, void (*on_silence)(void *userdata), void *userdata, struct carrier **ret)
{
        struct carrier *carrier = calloc(1, sizeof(*carrier));

        if (!carrier)
                return -ENOMEM;
        carrier->exchange = exchange;
        carrier->on_silence = on_silence;
        carrier->userdata = userdata;
        carrier->silence = evtimer_new(exchange->worker->base, on_timer, carrier);
        if (!carrier->silence) {
                free(carrier);
                return -ENOMEM;
        }
        carrier_wait(carrier, CARRIER_KEEPALIVE_USEC);
        *ret = carrier;
        return 0;
}

struct carrier *carrier_free(struct carrier *carrier)
{
        if (!carrier)
                return NULL;
        event_free(carrier->silence);
        free(carrier);
        return NULL;
}

struct exchange *carrier_exchange(const struct carrier *carrier)
{
        return carrier->exchange;
}

static void add_session_headers(struct http_conn *client, const struct carrier_session *session)
{
        if (!session)
                return;
        (void) http_conn_add_header(client, "Mcp-Session-Id", session->transport_id);
        (void) http_conn_add_header(client, "Envmux-Session", session->key);
        (void) http_conn_add_headerf(client, "Envmux-Generation", "%llu", (unsigned long long) session->generation);
        (void) http_conn_add_header(client, "Envmux-Attach", session->attach);
}

void carrier_begin(struct carrier *carrier, const struct carrier_session *session)
{
        struct http_conn *client = carrier->exchange->client;

        carrier->is_begun = true;
        (void) http_conn_start_response(client, 200);
        (void) http_conn_add_header(client, "Content-Type", "text/event-stream");
        (void) http_conn_add_header(client, "Cache-Control", "no-cache, no-transform");
        (void) http_conn_add_header(client, "X-Accel-Buffering", "no");
        add_session_headers(client, session);
        (void) http_conn_begin_body(client, HTTP_FRAMING_CHUNKED, 0);
}

bool carrier_is_begun(const struct carrier *carrier)
{
        return carrier->is_begun;
}

static void send_id(struct carrier *carrier, const char *id)
{
        exchange_send(carrier->exchange, "id: ", 4);
        exchange_send(carrier->exchange, id, strlen(id));
        exchange_send(carrier->exchange, "\n", 1);
}

void carrier_event(struct carrier *carrier, const char *id, const char *message, size_t size)
{
        static const char before[] = "event: message\ndata: ", after[] = "\n\n";

        if (id)
                send_id(carrier, id);
        exchange_send(carrier->exchange, before, sizeof(before) - 1);
        exchange_send(carrier->exchange, message, size);
        exchange_send(carrier->exchange, after, sizeof(after) - 1);
        carrier_wait(carrier, CARRIER_KEEPALIVE_USEC);
}

void carrier_prime(struct carrier *carrier, const char *id, usec_t retry_usec)
{
        char text[64];
        int n = snprintf(text, sizeof(text), "retry: %llu\ndata: \n\n", (unsigned long long) (retry_usec / USEC_PER_MSEC));

        send_id(carrier, id);
        exchange_send(carrier->exchange, text, (size_t) n);
        carrier_wait(carrier, CARRIER_KEEPALIVE_USEC);
}

void carrier_endpoint(struct carrier *carrier, const char *id, const char *uri)
{
        const char *const parts[] = { "event: endpoint\nid: ", id, "\ndata: ", uri, "\n\n" };

        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                exchange_send(carrier->exchange, parts[i], strlen(parts[i]));
        carrier_wait(carrier, CARRIER_KEEPALIVE_USEC);
}

void carrier_comment(struct carrier *carrier)
{
        static const char comment[] = ": keepalive\n\n";

        if (!carrier_is_full(carrier))
                exchange_send(carrier->exchange, comment, sizeof(comment) - 1);
}

size_t carrier_pending_bytes(const struct carrier *carrier)
{
        return http_conn_pending_bytes(carrier->exchange->client);
}

bool carrier_is_full(const struct carrier *carrier)
{
        return http_conn_is_full(carrier->exchange->client);
}

struct exchange *carrier_release(struct carrier *carrier)
{
        struct exchange *exchange = carrier->exchange;

        carrier_free(carrier);
        return exchange;
}

void carrier_json(struct carrier *carrier, unsigned status, const struct carrier_session *session, const char *response,
                  size_t size)
{
        struct exchange *exchange = carrier_release(carrier);

        (void) http_conn_start_response(exchange->client, status);
        (void) http_conn_add_header(exchange->client, "Content-Type", "application/json");
        add_session_headers(exchange->client, session);
        (void) http_conn_begin_body(exchange->client, HTTP_FRAMING_LENGTH, size);
        exchange_send(exchange, response, size);
        exchange_end(exchange);
}

void carrier_end(struct carrier *carrier)
{
        exchange_end(carrier_release(carrier));
}

void carrier_abort(struct carrier *carrier)
{
        exchange_abort(carrier_release(carrier));
}
