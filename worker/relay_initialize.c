#include "worker/relay_private.h"

#include "common/jsonrpc.h"
#include "worker/exchange.h"
#include "worker/http_tell.h"
#include "worker/life.h"

#define JUDGED_BYTES_MAX (1024u * 1024) /* an answer that is longer is taken for a result */

/* The id by which the backend knows the client from now on; "" for none. */
static void backend_id_of(const struct relay *relay, char ret[static IPC_KEY_SIZE])
{
        struct http_slice id;

        ret[0] = '\0';
        if (!relay->backend || http_head_get(http_conn_head(relay->backend), "Mcp-Session-Id", &id) < 0 || id.size >= IPC_KEY_SIZE)
                return;
        memcpy(ret, id.data, id.size);
        ret[id.size] = '\0';
}

/* The backend's session is nobody's. */
static void refuse(struct relay *relay, const char *backend_id, enum reason reason, const char *detail)
{
        http_tell_ended(relay->endpoint, backend_id);
        relay_fail_reason(relay, reason, detail);
}

/* The backend took the client in; others may have been attached meanwhile. False: it cannot stay, and the
 * relay is freed. */
static bool admit(struct relay *relay, const char **ret_word)
{
        struct worker *worker = relay->endpoint->worker;
        struct exchange *exchange = relay->exchange;
        char backend_id[IPC_KEY_SIZE];

        if (life_is_replaced(worker->life)) {
                relay_free(relay);
                exchange_gone(exchange);
                life_end(worker->life, GONE_REPLACED, REASON_replaced, NULL);
                return false;
        }
        backend_id_of(relay, backend_id);
        if (worker->spec->attach == ATTACH_REJECT && clients_count(worker->clients) > 0) {
                refuse(relay, backend_id, REASON_session_attached, NULL);
                return false;
        }
        int r = http_endpoint_attach(relay->endpoint, exchange, backend_id, relay->version, relay->retained, ret_word);

        if (r == -ENOSPC)
                refuse(relay, backend_id, REASON_overloaded, "all of the clients it may have are busy");
        else if (r < 0)
                refuse(relay, backend_id, REASON_internal, strerror(-r));
        return r >= 0;
}

/* It is known what the answer is: it goes to the client, what has come of it first. */
static bool decide(struct relay *relay, bool is_result)
{
        const char *word = NULL;

        if (is_result && !admit(relay, &word))
                return false;
        struct evbuffer *judged = TAKE_PTR(relay->judged);
        bool has_begun = relay_answer_begin(relay, http_conn_head(relay->backend), word);

        if (has_begun)
                relay_answer_body(relay, evbuffer_pullup(judged, -1), evbuffer_get_length(judged));
        evbuffer_free(judged);
        return has_begun;
}

/* 1: a result, whose version is noted, 0: an error, negative: not the answer. */
static int verdict(struct relay *relay, const char *text, size_t size)
{
        struct jsonrpc_message message;
        struct json_slice version;

        if (size == 0 || jsonrpc_parse(text, size, &message) < 0 || message.kind != JSONRPC_RESPONSE)
                return -ENOENT;
        if (json_get(message.result, "protocolVersion", &version) >= 0)
                (void) json_string_copy(version, relay->version, sizeof(relay->version));
        return message.result.size > 0;
}

static bool on_event(const char *data, size_t size, void *userdata)
{
        struct relay *relay = userdata;

        relay->verdict = verdict(relay, data, size);
        return relay->verdict >= 0;
}

bool relay_initialize_begin(struct relay *relay, const struct http_head *head)
{
        if (!relay->is_mcp || !relay->exchange->is_minted || head->status != 200)
                return false;
        relay->judged = evbuffer_new();
        return relay->judged;
}

void relay_initialize_body(struct relay *relay, const void *data, size_t size)
{
        relay->verdict = -ENOENT;
        evbuffer_add(relay->judged, data, size);
        if (evbuffer_get_length(relay->judged) > JUDGED_BYTES_MAX)
                relay->verdict = 1;
        else if (relay_events_can_be_read(http_conn_head(relay->backend)))
                (void) event_reader_feed(&relay->judged_events, data, size, on_event, relay);
        if (relay->verdict >= 0)
                (void) decide(relay, relay->verdict);
}

bool relay_initialize_end(struct relay *relay)
{
        size_t size = evbuffer_get_length(relay->judged);

        return decide(relay, size > 0 && verdict(relay, (const char *) evbuffer_pullup(relay->judged, -1), size) > 0);
}

void relay_initialize_gone(struct relay *relay)
{
        char backend_id[IPC_KEY_SIZE];

        backend_id_of(relay, backend_id);
        http_tell_ended(relay->endpoint, backend_id);
}
