#include "worker/relay_private.h"

#include "common/jsonrpc.h"
#include "worker/exchange.h"
#include "worker/handles.h"
#include "worker/life.h"

#define SINGLE_BYTES_MAX (1024u * 1024) /* an answer that is longer gives nothing out */

static bool is_single(const struct relay *relay)
{
        return relay->is_modern && relay->exchange && relay->endpoint->worker->spec->kind == KEY_REQUEST;
}

/* The round whose state this request brought back is over. */
static void forget_round(struct relay *relay)
{
        struct jsonrpc_message request;
        char key[IPC_KEY_SIZE];
        size_t size = evbuffer_get_length(relay->retained);

        if (relay->is_retaining && size > 0 &&
            jsonrpc_parse((const char *) evbuffer_pullup(relay->retained, -1), size, &request) >= 0 &&
            handles_of_request(&request, key))
                handles_remove(relay->endpoint->worker->handles, key);
}

static bool take_message(const char *text, size_t size, void *userdata)
{
        struct relay *relay = userdata;
        struct jsonrpc_message answer;

        if (size == 0 || jsonrpc_parse(text, size, &answer) < 0 || answer.kind != JSONRPC_RESPONSE ||
            answer.result.size == 0)
                return false;
        forget_round(relay);
        handles_take(relay->endpoint->worker->handles, &answer);
        return false;
}

/* Of an event that is too long its beginning is forgotten: what is left of it is no message. */
static void read_events(struct relay *relay, const char *data, size_t size)
{
        struct event_reader *reader = &relay->single_events;

        if (event_reader_feed(reader, data, size, take_message, relay) < 0 ||
            reader->line.size + reader->data.size > SINGLE_BYTES_MAX)
                event_reader_done(reader);
}

static void send_all(struct relay *relay)
{
        struct evbuffer *answer = TAKE_PTR(relay->single);

        exchange_send(relay->exchange, evbuffer_pullup(answer, -1), evbuffer_get_length(answer));
        evbuffer_free(answer);
}

void relay_single_begin(struct relay *relay)
{
        if (is_single(relay) && !relay->is_event_stream)
                relay->single = evbuffer_new();
}

bool relay_single_body(struct relay *relay, const void *data, size_t size)
{
        if (is_single(relay) && relay->is_event_stream)
                read_events(relay, data, size);
        if (!relay->single)
                return false;
        evbuffer_add(relay->single, data, size);
        if (evbuffer_get_length(relay->single) > SINGLE_BYTES_MAX)
                send_all(relay);
        return true;
}

void relay_single_end(struct relay *relay)
{
        if (!relay->single)
                return;
        (void) take_message((const char *) evbuffer_pullup(relay->single, -1), evbuffer_get_length(relay->single), relay);
        send_all(relay);
}

static void on_settle(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct http_endpoint *endpoint = userdata;
        struct worker *worker = endpoint->worker;

        if (TAILQ_EMPTY(&endpoint->relays) && handles_count(worker->handles) == 0)
                life_end(worker->life, GONE_DELETED, REASON_session_ended, "its request was answered");
}

int relay_single_init(struct http_endpoint *endpoint)
{
        if (endpoint->worker->spec->kind != KEY_REQUEST)
                return 0;
        endpoint->settle = evtimer_new(endpoint->worker->base, on_settle, endpoint);
        return endpoint->settle ? 0 : -ENOMEM;
}

void relay_single_settle(struct http_endpoint *endpoint)
{
        if (endpoint->settle)
                event_active(endpoint->settle, EV_TIMEOUT, 0);
}
