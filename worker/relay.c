#include "worker/relay.h"

#include "common/jsonrpc.h"
#include "worker/exchange.h"
#include "worker/http_cancel.h"
#include "worker/relay_request.h"
#include "worker/life.h"

#include <stdio.h>

#define RETAINED_BYTES_MAX (64u * 1024)
#define BROKEN_WAIT_USEC (100 * USEC_PER_MSEC)

struct relay {
        TAILQ_ENTRY(relay) entry;
        struct http_endpoint *endpoint;
        struct exchange *exchange;
        struct http_conn *backend;    /* NULL until the backend listens */
        struct evbuffer *retained;    /* the body so far: until the backend listens, and while is_retaining, to ask
                                       * again and to know the id */
        bool is_retaining;
        bool is_request_complete;
        bool is_mcp;                  /* the MCP endpoint, not another path of the backend */
        bool is_refused;              /* with refusal, when the request is here and its id is known */
        enum reason refusal;
        bool is_endless;              /* the GET stream: no deadline */
        bool was_redirected;
        bool asked_with_slash;        /* the spelling of mcp_path that was sent: another relay may have changed it since */
        bool is_answering;            /* the response head went to the client */
        bool is_event_stream;
        bool is_broken;               /* the backend closed early; broken_by: why, 0 or a negative errno */
        int broken_by;
        unsigned newlines;            /* at the end of the event stream so far: 2 is an event boundary */
        struct event *deadline;
};

static const struct http_conn_ops backend_ops;

static void relay_free(struct relay *relay)
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

static void relay_fail_reason(struct relay *relay, enum reason reason, const char *detail)
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

/* The backend broke the exchange off. If it is dying, its exit comes a moment after its sockets
 * closed and tells every relay more than this one could: wait for that. */
static void relay_break(struct relay *relay, int error)
{
        struct timeval wait = usec_to_timeval(BROKEN_WAIT_USEC);

        relay->is_broken = true;
        relay->broken_by = error;
        relay->backend = http_conn_free(relay->backend);
        http_conn_pause(relay->exchange->client);
        event_add(relay->deadline, &wait);
}

/* ---- towards the backend ---------------------------------------------------------------------- */

static bool ends_with_slash(const char *path)
{
        size_t size = strlen(path);

        return size > 1 && path[size - 1] == '/';
}

/* Connects and sends what there is of the request; the rest follows as it comes. */
static int relay_send(struct relay *relay)
{
        struct http_endpoint *endpoint = relay->endpoint;
        size_t size = evbuffer_get_length(relay->retained);
        int fd = http_address_connect(endpoint->address);

        if (fd < 0)
                return fd;
        relay->asked_with_slash = ends_with_slash(endpoint->mcp_path);
        int r = http_conn_new(endpoint->worker->base, fd, HTTP_CLIENT, &endpoint->limits, &backend_ops, relay, &relay->backend);

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

static void on_backend_drained(_unused_ struct http_conn *conn, void *userdata)
{
        struct relay *relay = userdata;

        http_conn_resume(relay->exchange->client);
}

/* ---- towards the client ----------------------------------------------------------------------- */

/* The backend spells its endpoint with the other slash: "/mcp" → "/mcp/" or the reverse. The answer
 * never reaches the client: it would be sent away from its session. */
static bool follow_redirect(struct relay *relay, const struct http_head *head)
{
        char *path = relay->endpoint->mcp_path;
        size_t size = strlen(path);
        struct http_slice location;
        char other[256];

        if ((head->status != 307 && head->status != 308) || !relay->is_mcp || relay->was_redirected ||
            !relay->is_retaining || size + 2 > sizeof(other) || http_head_get(head, "Location", &location) < 0)
                return false;
        (void) STR_COPY(other, path);
        if (ends_with_slash(other))
                other[size - 1] = '\0';
        if (!relay->asked_with_slash)
                (void) strcat(other, "/");
        size_t other_size = strlen(other);
        const char *question = memchr(location.data, '?', location.size);
        size_t location_size = question ? (size_t) (question - location.data) : location.size;

        if (location_size < other_size || memcmp(location.data + location_size - other_size, other, other_size) != 0)
                return false;
        char *copy = strdup(other);

        if (!copy)
                return false;
        free(relay->endpoint->mcp_path);
        relay->endpoint->mcp_path = copy;
        relay->was_redirected = true;
        relay->backend = http_conn_free(relay->backend);
        int r = relay_send(relay);

        if (r < 0)
                relay_break(relay, r);
        return true;
}

/* What this answer means for who is attached; the headers that follow from it. */
static int add_session_headers(struct relay *relay, const struct http_head *head)
{
        struct exchange *exchange = relay->exchange;
        struct http_slice backend_id = { 0 };
        char id[IPC_KEY_SIZE] = "";

        if (http_head_get(head, "Mcp-Session-Id", &backend_id) == 0 && backend_id.size < sizeof(id))
                memcpy(id, backend_id.data, backend_id.size);
        if (!exchange->is_minted)
                return *id && exchange->transport_id[0]
                               ? http_conn_add_header(exchange->client, "Mcp-Session-Id", exchange->transport_id)
                               : 0;
        if (head->status != 200)
                return 0;
        return http_endpoint_attach(relay->endpoint, exchange, id, relay->retained);
}

/* What starts with Envmux- is the worker's to say: a backend could have its own requests sent again. */
static bool header_is_answered(const struct http_head *head, const struct http_header *header)
{
        static const char ours[] = "Envmux-";

        return !http_head_is_hop_by_hop(head, header) && !http_slice_is_nocase(header->name, "Mcp-Session-Id") &&
               (header->name.size < strlen(ours) || strncasecmp(header->name.data, ours, strlen(ours)) != 0);
}

static int send_response_head(struct relay *relay, const struct http_head *head)
{
        struct http_conn *client = relay->exchange->client;
        int r = http_conn_start_response(client, head->status);

        for (size_t i = 0; r >= 0 && i < head->n_headers; i++)
                if (header_is_answered(head, &head->headers[i]))
                        r = http_conn_add_header_slice(client, head->headers[i].name, head->headers[i].value);
        if (r >= 0)
                r = add_session_headers(relay, head);
        if (r < 0)
                return r;
        return http_conn_begin_body(client,
                                    head->has_content_length ? HTTP_FRAMING_LENGTH
                                    : head->has_body         ? HTTP_FRAMING_CHUNKED
                                                             : HTTP_FRAMING_NONE,
                                    head->content_length);
}

/* DELETE ends the client's part here whatever the backend thinks of it: many answer 405. */
static bool answer_delete(struct relay *relay)
{
        struct http_endpoint *endpoint = relay->endpoint;
        struct exchange *exchange = relay->exchange;
        char client_id[IPC_KEY_SIZE];

        if (!relay->is_mcp || exchange->head->method != HTTP_DELETE)
                return false;
        const struct client *sole = clients_sole(endpoint->worker->clients);

        (void) STR_COPY(client_id, exchange->transport_id[0] || !sole ? exchange->transport_id : sole->transport_id);
        exchange_respond(exchange, 200, NULL, NULL, NULL, 0);
        relay_free(relay);
        http_endpoint_detach(endpoint, client_id);
        return true;
}

/* Another client was attached while this `initialize` was at the backend. */
static bool answer_replaced(struct relay *relay, unsigned status)
{
        struct exchange *exchange = relay->exchange;
        struct life *life = exchange->worker->life;

        if (!exchange->is_minted || status != 200 || !life_is_replaced(life))
                return false;
        exchange_gone(exchange);
        relay_free(relay);
        life_end(life, GONE_REPLACED, REASON_replaced, NULL);
        return true;
}

/* Another client was attached while this `initialize` was at the backend, and keeps the session to itself. */
static bool answer_rejected(struct relay *relay, unsigned status)
{
        const struct worker *worker = relay->endpoint->worker;

        if (!relay->exchange->is_minted || status != 200 || worker->spec->attach != ATTACH_REJECT ||
            clients_count(worker->clients) == 0)
                return false;
        relay_fail_reason(relay, REASON_session_attached, NULL);
        return true;
}

static void on_backend_head(_unused_ struct http_conn *conn, const struct http_head *head, void *userdata)
{
        struct relay *relay = userdata;
        struct http_slice type, encoding;

        if (follow_redirect(relay, head) || answer_delete(relay) || answer_replaced(relay, head->status) ||
            answer_rejected(relay, head->status))
                return;
        /* One that an event of ours may be added to: nothing has encoded it. */
        relay->is_event_stream = http_head_get(head, "Content-Type", &type) == 0 && type.size >= 17 &&
                                 strncasecmp(type.data, "text/event-stream", 17) == 0 &&
                                 http_head_get(head, "Content-Encoding", &encoding) == -ENOENT;
        relay->newlines = 2;
        relay->is_answering = true;
        if (send_response_head(relay, head) < 0)
                relay_fail_reason(relay, REASON_internal, NULL);
}

static void on_backend_body(struct http_conn *conn, const void *data, size_t size, void *userdata)
{
        struct relay *relay = userdata;
        const char *bytes = data;

        for (size_t i = 0; relay->is_event_stream && i < size; i++)
                if (bytes[i] == '\n')
                        relay->newlines++;
                else if (bytes[i] != '\r')
                        relay->newlines = 0;
        exchange_send(relay->exchange, data, size);
        if (http_conn_is_full(relay->exchange->client))
                http_conn_pause(conn);
}

static void on_backend_end(_unused_ struct http_conn *conn, void *userdata)
{
        struct relay *relay = userdata;

        exchange_end(relay->exchange);
        relay_free(relay);
}

static void on_backend_close(_unused_ struct http_conn *conn, int error, void *userdata)
{
        relay_break(userdata, error);
}

static const struct http_conn_ops backend_ops = {
        .on_head = on_backend_head,
        .on_body = on_backend_body,
        .on_end = on_backend_end,
        .on_drained = on_backend_drained,
        .on_close = on_backend_close,
};

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
