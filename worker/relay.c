#include "worker/relay_private.h"

#include "worker/exchange.h"
#include "worker/http_sse.h"
#include "worker/http_tell.h"
#include "worker/idle.h"
#include "worker/relay_request.h"

#define RETAINED_BYTES_MAX (64u * 1024)
#define INITIALIZE_BYTES_MAX (1024u * 1024) /* what the router reads of it, too */
#define ALONE_MAX 64u /* calls whose clients left, per session */
#define BROKEN_WAIT_USEC (100 * USEC_PER_MSEC)

static void relay_unlink(struct relay *relay)
{
        TAILQ_REMOVE(&relay->endpoint->relays, relay, entry);
}

static void relay_done(struct relay *relay)
{
        if (relay->sse)
                http_sse_relay_done(relay);
        struct idle *idle = relay->is_held ? relay->endpoint->worker->idle : NULL;

        http_conn_free(relay->backend);
        if (relay->own_session)
                http_tell_ended(relay->endpoint, relay->own_session);
        free(relay->own_session);
        if (relay->retained)
                evbuffer_free(relay->retained);
        if (relay->partial)
                evbuffer_free(relay->partial);
        if (relay->judged)
                evbuffer_free(relay->judged);
        event_reader_done(&relay->judged_events);
        if (relay->single)
                evbuffer_free(relay->single);
        event_reader_done(&relay->single_events);
        free(relay->answers);
        relay_single_settle(relay->endpoint);
        if (relay->keepalive)
                event_free(relay->keepalive);
        if (relay->deadline)
                event_free(relay->deadline);
        free(relay);
        if (idle)
                idle_release(idle);
}

void relay_free(struct relay *relay)
{
        relay_unlink(relay);
        relay_done(relay);
}

/* Answering may end the session, which fails every relay that is in the list: this one is not any more. */
void relay_fail(struct relay *relay, const struct failure *failure)
{
        struct exchange *exchange = relay->exchange;
        struct json_slice id = { 0 };

        relay_unlink(relay);
        if (!relay->is_unread)
                (void) id_scan_result(&relay->id, &id);
        if (!exchange)
                ; /* nobody waits */
        else if (!relay->is_answering && exchange->is_minted && failure->reason == REASON_replaced)
                exchange_gone(exchange); /* it was on its way in: it finds the next one */
        else if (!relay->is_answering)
                exchange_fail(exchange, failure, id.size > 0 ? id.data : NULL, id.size);
        else if (relay->is_event_stream)
                relay_events_fail(relay, failure, id);
        else
                exchange_abort(exchange);
        relay_done(relay);
}

void relay_fail_reason(struct relay *relay, enum reason reason, const char *detail)
{
        const struct failure failure = { .reason = reason, .detail = detail };

        relay_fail(relay, &failure);
}

static const char *session_at_backend(const struct relay *relay)
{
        const struct client *client = relay->client_id[0] ? http_endpoint_client(relay->endpoint, relay->client_id)
                                                          : clients_sole(relay->endpoint->worker->clients);

        return relay->own_session ? relay->own_session : client ? client->backend_id : "";
}

static void on_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct relay *relay = userdata;
        struct json_slice id;

        if (!relay->exchange && !relay->backend) { /* the rest of it was not asked for, or is still being read */
                relay_free(relay);
                return;
        }
        if (relay->is_broken) {
                relay_fail_reason(relay, REASON_backend_protocol,
                                  relay->broken_by ? strerror(-relay->broken_by)
                                                   : "it closed the connection before its answer was complete");
                return;
        }
        /* Of a modern request the end of its connection says it. */
        if (!relay->is_modern && !relay->sse && id_scan_result(&relay->id, &id))
                http_tell_cancelled(relay->endpoint, session_at_backend(relay), id);
        relay_fail_reason(relay, REASON_deadline, NULL);
}

/* Which requests have no end to wait for: the GET of a session, and modern requests for a subscription. */
static bool is_endless(const struct relay *relay)
{
        const struct http_head *head = relay->exchange->head;
        struct http_slice method;

        if (!relay->is_mcp || !relay->is_modern)
                return relay->is_mcp && head->method == HTTP_GET;
        return http_head_get(head, "Mcp-Method", &method) == 0 && http_slice_is(method, "subscriptions/listen");
}

int relay_new(struct http_endpoint *endpoint, struct exchange *exchange, bool is_mcp, struct relay **ret)
{
        struct relay *relay = calloc(1, sizeof(*relay));

        if (!relay)
                return -ENOMEM;
        relay->endpoint = endpoint;
        relay->exchange = exchange;
        relay->is_mcp = is_mcp;
        relay->is_modern = is_mcp && http_exchange_is_modern(exchange);
        relay->is_retaining = true;
        (void) STR_COPY(relay->client_id, exchange->transport_id);
        relay->retained = evbuffer_new();
        relay->partial = evbuffer_new();
        relay->deadline = evtimer_new(endpoint->worker->base, on_deadline, relay);
        if (!relay->retained || !relay->partial || !relay->deadline) {
                relay_done(relay);
                return -ENOMEM;
        }
        TAILQ_INSERT_TAIL(&endpoint->relays, relay, entry);
        relay->is_endless = is_endless(relay);
        if (relay->is_endless)
                exchange_uncount(exchange);
        exchange->endpoint_data = relay;
        *ret = relay;
        return 0;
}

void relay_break(struct relay *relay, int error)
{
        struct timeval wait = usec_to_timeval(BROKEN_WAIT_USEC);

        if (!relay->exchange) {
                relay_free(relay);
                return;
        }
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
        r = relay_request_send_head(relay->backend, relay->endpoint, relay->exchange, relay->is_mcp, relay->own_session);
        if (r >= 0 && size > 0)
                r = http_conn_send(relay->backend, evbuffer_pullup(relay->retained, -1), size);
        if (r >= 0 && relay->is_request_complete)
                r = http_conn_end(relay->backend);
        return r;
}

/* An `initialize` is looked at again when it was answered. */
static size_t retained_bytes_max(const struct relay *relay)
{
        return relay->exchange->is_minted ? INITIALIZE_BYTES_MAX : RETAINED_BYTES_MAX;
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
        if (relay->is_refused || relay->adoption)
                return;
        int r = relay_send(relay);

        deadline_arm(relay);
        if (r < 0) {
                relay_break(relay, r);
                return;
        }
        if (evbuffer_get_length(relay->retained) > retained_bytes_max(relay)) {
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
        size_t retained = evbuffer_get_length(relay->retained) + size, max = retained_bytes_max(relay);

        if (relay->is_mcp || relay->sse)
                id_scan_feed(&relay->id, data, size);
        if (relay->is_refused && retained > max) {
                relay_fail_reason(relay, relay->refusal, NULL);
                return;
        }
        if (!relay->backend || (relay->is_retaining && retained <= max))
                evbuffer_add(relay->retained, data, size);
        else
                relay->is_retaining = false;
        if (!relay->backend) {
                if (retained > max)
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
        if (relay->sse)
                http_sse_asked(relay);
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
        return streq(relay->client_id, transport_id);
}

/* In the revisions with sessions a client that leaves does not cancel, and a backend that takes it for that is
 * not to notice (MCP, "Sending Messages to the Server", 2025-03-26 to 2025-11-25). Where the answer can be asked
 * for again, it must notice: to it the stream is taken as long as somebody seems to read it. */
static bool goes_on_alone(struct relay *relay)
{
        struct json_slice id;
        bool is_call = relay->is_mcp && relay->exchange->head->method == HTTP_POST && !relay->exchange->is_minted &&
                       relay->is_request_complete && id_scan_result(&relay->id, &id);

        return is_call && !relay->is_modern && relay->backend && !relay->tail.has_ids;
}

/* One more without a client: of too many the oldest ends, as seen by the backend, too. */
static void make_room_alone(struct http_endpoint *endpoint)
{
        struct relay *relay, *oldest = NULL;
        unsigned n = 0;

        TAILQ_FOREACH(relay, &endpoint->relays, entry)
                if (!relay->exchange && n++ == 0)
                        oldest = relay;
        if (n >= ALONE_MAX)
                relay_free(oldest);
}

void relay_leave(struct relay *relay)
{
        if (!relay->exchange)
                return;
        if (relay->exchange->is_counted) {
                relay->is_held = true;
                idle_hold(relay->endpoint->worker->idle);
        }
        make_room_alone(relay->endpoint);
        relay->exchange = NULL;
}

void relay_client_gone(struct relay *relay)
{
        if (relay->judged)
                relay_initialize_gone(relay);
        if (goes_on_alone(relay)) {
                relay_leave(relay);
                http_conn_resume(relay->backend);
        } else if (!relay_await(relay)) {
                relay_free(relay);
        }
}
