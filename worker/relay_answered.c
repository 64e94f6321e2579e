#include "worker/relay_private.h"

#include "common/jsonrpc.h"
#include "worker/idle.h"
#include "worker/sse_reader.h"

/* A GET that asks for the rest of a stream, whichever it was. */
static bool is_resuming(const struct relay *relay)
{
        struct http_slice id;

        return relay->is_endless && !relay->is_modern &&
               http_head_get(relay->exchange->head, "Last-Event-ID", &id) == 0;
}

void relay_answered_begin(struct relay *relay)
{
        struct json_slice id;

        if (!relay->is_mcp || (!is_resuming(relay) && !id_scan_result(&relay->id, &id)))
                return;
        relay->answers = calloc(1, sizeof(*relay->answers));
        if (relay->answers)
                relay->answers->has_endpoint = true; /* which this transport does not have */
}

static bool is_waiting_for(const struct relay *relay, const struct relay *resumed, struct json_slice answered)
{
        struct json_slice id;

        return !relay->exchange && !relay->backend && streq(relay->client_id, resumed->client_id) &&
               id_scan_result(&relay->id, &id) && jsonrpc_id_equal(id, answered);
}

/* On a stream that was asked for again a response came. */
static void waiting_answered(const struct relay *resumed, struct json_slice answered)
{
        struct relay *relay = TAILQ_FIRST(&resumed->endpoint->relays);

        while (relay && !is_waiting_for(relay, resumed, answered))
                relay = TAILQ_NEXT(relay, entry);
        if (relay)
                relay_free(relay);
}

void relay_answered_read(struct relay *relay, const char *bytes, size_t size)
{
        enum sse_found found;
        struct json_slice id, answered;

        if (!relay->answers)
                return;
        for (size_t at = 0; at < size;) {
                at += sse_reader_feed(relay->answers, bytes + at, size - at, &found);
                if (found != SSE_RESPONSE)
                        continue;
                answered = sse_reader_id(relay->answers);
                if (relay->is_endless)
                        waiting_answered(relay, answered);
                else if (id_scan_result(&relay->id, &id) && jsonrpc_id_equal(id, answered))
                        relay->is_answered = true;
        }
}

bool relay_await(struct relay *relay)
{
        struct json_slice id;
        bool is_call = relay->is_mcp && !relay->is_modern && !relay->is_endless && relay->is_request_complete &&
                       !(relay->exchange && relay->exchange->is_minted) && id_scan_result(&relay->id, &id);

        if (!is_call || relay->own_session || !relay->tail.has_ids || relay->is_answered ||
            !evtimer_pending(relay->deadline, NULL))
                return false;
        relay_leave(relay);
        relay->backend = http_conn_free(relay->backend);
        return true;
}
