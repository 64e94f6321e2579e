#include "worker/http_sse.h"

#include "common/http/target.h"
#include "common/jsonrpc.h"
#include "worker/exchange.h"
#include "worker/http_tell.h"
#include "worker/idle.h"
#include "worker/life.h"
#include "worker/relay_private.h"
#include "worker/sse_reader.h"

#include <stdio.h>

#define CALLS_MAX 1024u /* of one stream; the oldest are forgotten first */

/* A request that the backend has not answered yet. */
struct http_sse_call {
        TAILQ_ENTRY(http_sse_call) entry;
        usec_t deadline_usec;
        size_t id_size;
        char id[];
};

/* One open GET. */
struct http_sse {
        TAILQ_ENTRY(http_sse) entry;
        struct http_endpoint *endpoint;
        struct relay *relay;  /* the stream's */
        char id[IPC_KEY_SIZE];
        struct sse_reader reader;
        char *target;         /* the backend's address for POSTs: path and query; NULL until it was told */
        bool is_created;      /* the session was started for it */
        struct event *deadline;
        TAILQ_HEAD(, http_sse_call) calls; /* oldest first */
        unsigned n_calls;
};

/* ---- what is under way ---- */

static void deadline_arm(struct http_sse *sse)
{
        const struct http_sse_call *first = TAILQ_FIRST(&sse->calls);

        event_del(sse->deadline);
        if (!first || first->deadline_usec == USEC_INFINITY)
                return;
        struct timeval wait = usec_to_timeval(usec_until(first->deadline_usec));

        event_add(sse->deadline, &wait);
}

static void call_free(struct http_sse *sse, struct http_sse_call *call)
{
        TAILQ_REMOVE(&sse->calls, call, entry);
        free(call);
        if (--sse->n_calls == 0)
                idle_release(sse->endpoint->worker->idle);
}

static void call_new(struct http_sse *sse, struct json_slice id)
{
        struct http_sse_call *call = malloc(sizeof(*call) + id.size);

        if (!call)
                return;
        call->deadline_usec = usec_add(now_usec(), sse->endpoint->worker->spec->request_usec);
        call->id_size = id.size;
        memcpy(call->id, id.data, id.size);
        TAILQ_INSERT_TAIL(&sse->calls, call, entry);
        if (sse->n_calls++ == 0)
                idle_hold(sse->endpoint->worker->idle);
        if (sse->n_calls > CALLS_MAX)
                call_free(sse, TAILQ_FIRST(&sse->calls));
        deadline_arm(sse);
}

static struct json_slice call_id(const struct http_sse_call *call)
{
        return (struct json_slice) { .data = call->id, .size = call->id_size };
}

static void call_answered(struct http_sse *sse, struct json_slice id)
{
        struct http_sse_call *call;

        TAILQ_FOREACH(call, &sse->calls, entry)
                if (jsonrpc_id_equal(call_id(call), id)) {
                        call_free(sse, call);
                        return deadline_arm(sse);
                }
}

static void tell_failure(struct exchange *exchange, const struct failure *failure, struct json_slice id)
{
        static const char before[] = "event: message\ndata: ";
        _cleanup_free_ char *body = NULL;
        size_t size;

        if (failure_to_jsonrpc(failure, id.data, id.size, &body, &size) < 0)
                return;
        exchange_send(exchange, before, sizeof(before) - 1);
        exchange_send(exchange, body, size);
        exchange_send(exchange, "\n\n", 2);
}

/* A torn event is left as it is: whoever reads it finds that it is no message, and goes on. */
static void mend(struct relay *relay)
{
        if (relay->is_torn)
                exchange_send(relay->exchange, "\n\n", 2);
}

/* In the middle of an event nothing can be said; it is looked at again a moment later. */
static void on_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        static const struct timeval moment = { .tv_usec = 100 * USEC_PER_MSEC };
        const struct failure failure = { .reason = REASON_deadline };
        struct http_sse *sse = userdata;
        struct http_sse_call *call;

        if (sse->relay->is_torn) {
                event_add(sse->deadline, &moment);
                return;
        }
        while ((call = TAILQ_FIRST(&sse->calls)) && usec_until(call->deadline_usec) == 0) {
                tell_failure(sse->relay->exchange, &failure, call_id(call));
                http_tell_cancelled_at(sse->endpoint, sse->target, call_id(call));
                call_free(sse, call);
        }
        deadline_arm(sse);
}

/* ---- requests ---- */

/* Where the backend serves the stream: beside its MCP endpoint, or as that. */
static struct http_slice stream_path(const struct http_endpoint *endpoint)
{
        const char *path = endpoint->worker->spec->http_path;
        const char *last = strrchr(path, '/');

        if (!last || !streq(last, "/sse"))
                path = "/sse";
        return (struct http_slice) { path, strlen(path) };
}

static int sse_new(struct http_endpoint *endpoint, struct exchange *exchange, struct http_sse **ret)
{
        struct http_sse *sse = calloc(1, sizeof(*sse));

        if (!sse)
                return -ENOMEM;
        sse->endpoint = endpoint;
        sse->is_created = exchange->is_created;
        (void) STR_COPY(sse->id, exchange->transport_id);
        TAILQ_INIT(&sse->calls);
        sse->deadline = evtimer_new(endpoint->worker->base, on_deadline, sse);
        exchange->path = stream_path(endpoint);
        int r = sse->deadline ? relay_new(endpoint, exchange, false, &sse->relay) : -ENOMEM;

        if (r < 0) {
                if (sse->deadline)
                        event_free(sse->deadline);
                free(sse);
                return r;
        }
        sse->relay->sse = sse;
        sse->relay->is_endless = true;
        exchange_uncount(exchange);
        TAILQ_INSERT_TAIL(&endpoint->sses, sse, entry);
        *ret = sse;
        return 0;
}

static void get_request(struct http_endpoint *endpoint, struct exchange *exchange)
{
        const struct worker *worker = endpoint->worker;
        struct http_sse *sse;

        if (clients_count(worker->clients) > 0 && worker->spec->attach == ATTACH_REJECT)
                exchange_refuse(exchange, REASON_session_attached, NULL, NULL, 0);
        else if (sse_new(endpoint, exchange, &sse) < 0)
                exchange_refuse(exchange, REASON_internal, NULL, NULL, 0);
        else if (endpoint->is_listening)
                relay_start(sse->relay);
}

static struct http_sse *sse_of_message(const struct http_endpoint *endpoint, struct http_slice query)
{
        struct http_slice encoded;
        struct http_sse *sse;
        char id[IPC_KEY_SIZE];

        if (target_query_get(query, "sessionId", &encoded) < 0 || target_decode(encoded, true, id, sizeof(id)) < 0)
                return NULL;
        TAILQ_FOREACH(sse, &endpoint->sses, entry)
                if (sse->target && streq(sse->id, id))
                        return sse;
        return NULL;
}

static void message_request(struct http_endpoint *endpoint, struct exchange *exchange)
{
        struct http_sse *sse = sse_of_message(endpoint, exchange->query);
        struct relay *relay;

        if (!sse)
                return exchange_refuse(exchange, REASON_unknown_session, NULL, NULL, 0);
        target_split((struct http_slice) { sse->target, strlen(sse->target) }, &exchange->path, &exchange->query);
        if (relay_new(endpoint, exchange, false, &relay) < 0)
                return exchange_refuse(exchange, REASON_internal, NULL, NULL, 0);
        relay->sse = sse;
        relay->is_unread = true;
        relay_start(relay);
}

bool http_sse_request(struct http_endpoint *endpoint, struct exchange *exchange)
{
        struct http_slice path = exchange->path, id;

        if (exchange->is_minted && exchange->head->method == HTTP_GET)
                get_request(endpoint, exchange);
        else if (http_slice_is(path, "/message") && exchange->head->method == HTTP_POST &&
                 target_query_get(exchange->query, "sessionId", &id) == 0)
                message_request(endpoint, exchange);
        else
                return false;
        return true;
}

bool http_sse_is_of(const struct http_endpoint *endpoint, const char *client_id)
{
        const struct http_sse *sse;

        TAILQ_FOREACH(sse, &endpoint->sses, entry)
                if (streq(sse->id, client_id))
                        return true;
        return false;
}

void http_sse_asked(struct relay *relay)
{
        struct json_slice id;

        if (!relay->is_endless && id_scan_result(&relay->id, &id))
                call_new(relay->sse, id);
}

/* ---- the stream ---- */

static bool is_stream(const struct http_head *head)
{
        return head->status == 200 && relay_events_can_be_read(head);
}

/* Pages and errors of a server that does not know the path; other errors are the backend's to tell. */
static bool is_unknown(unsigned status)
{
        return status < 400 || status == 404 || status == 405 || status == 406;
}

bool http_sse_begin(struct relay *relay, const struct http_head *head)
{
        const char *word;

        if (!is_stream(head) && is_unknown(head->status)) {
                relay_fail_reason(relay, REASON_unknown_path,
                                  "the backend has no event stream of MCP 2024-11-05 here; it is at …/mcp for clients of "
                                  "Streamable HTTP");
                return false;
        }
        if (!is_stream(head))
                return true;
        int r = http_endpoint_attach(relay->endpoint, relay->exchange, "", "", relay->retained, &word);

        if (r < 0)
                relay_fail_reason(relay, r == -ENOSPC ? REASON_overloaded : REASON_internal, NULL);
        return r >= 0;
}

/* The backend's word for its address, as a target on the backend: "https://it/m?x", "/m?x" or "m?x". */
static char *target_of(const struct http_sse *sse)
{
        const char *uri = sse->reader.uri, *authority = strstr(uri, "://");
        struct http_slice base = stream_path(sse->endpoint);
        char *target = NULL;

        for (const char *at = uri; *at; at++)
                if (*at < 0x21 || *at > 0x7e || *at == '#')
                        return NULL;
        if (authority && authority < uri + strcspn(uri, "/?"))
                uri = authority + 3 + strcspn(authority + 3, "/");
        if (uri[0] == '/')
                return strdup(uri);
        if (!uri[0])
                return NULL;
        while (uri[0] != '?' && base.data[base.size - 1] != '/')
                base.size--;
        return asprintf(&target, "%.*s%s", (int) base.size, base.data, uri) < 0 ? NULL : target;
}

/* False: there is no such address; the relay is freed. */
static bool send_endpoint(struct relay *relay)
{
        struct http_sse *sse = relay->sse;
        struct exchange *exchange = relay->exchange;
        struct http_slice prefix = { "", 0 };

        sse->target = target_of(sse);
        if (!sse->target) {
                relay_fail_reason(relay, REASON_backend_protocol, "its endpoint event names no address");
                return false;
        }
        (void) http_head_get(exchange->head, "Envmux-Prefix", &prefix);
        const struct http_slice parts[] = {
                { "event: endpoint\nid: ", 20 }, { sse->id, strlen(sse->id) }, { "\ndata: ", 7 }, prefix,
                { "/message?sessionId=", 19 }, { sse->id, strlen(sse->id) }, { "\n\n", 2 },
        };

        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                if (parts[i].size > 0)
                        exchange_send(exchange, parts[i].data, parts[i].size);
        return true;
}

bool http_sse_pass(struct relay *relay, const char *bytes, size_t size)
{
        struct http_sse *sse = relay->sse;

        for (size_t at = 0, n; at < size; at += n) {
                enum sse_found found;

                n = sse_reader_feed(&sse->reader, bytes + at, size - at, &found);
                if (sse->target)
                        relay_events_pass(relay, bytes + at, n);
                if (found == SSE_ENDPOINT && !send_endpoint(relay))
                        return false;
                if (found == SSE_RESPONSE)
                        call_answered(sse, sse_reader_id(&sse->reader));
        }
        return true;
}

void http_sse_fail(struct relay *relay, const struct failure *failure)
{
        const struct http_sse_call *call;

        mend(relay);
        TAILQ_FOREACH(call, &relay->sse->calls, entry)
                tell_failure(relay->exchange, failure, call_id(call));
        exchange_end(relay->exchange);
}

/* ---- ends ---- */

static void sse_free(struct http_sse *sse)
{
        struct http_endpoint *endpoint = sse->endpoint;
        struct relay *relay;

        TAILQ_REMOVE(&endpoint->sses, sse, entry);
        TAILQ_FOREACH(relay, &endpoint->relays, entry)
                if (relay->sse == sse)
                        relay->sse = NULL;
        while (!TAILQ_EMPTY(&sse->calls))
                call_free(sse, TAILQ_FIRST(&sse->calls));
        event_free(sse->deadline);
        free(sse->target);
        free(sse);
}

/* A POST that was not taken is not under way. */
static void post_done(struct relay *relay)
{
        struct json_slice id;

        if (!relay->is_accepted && id_scan_result(&relay->id, &id))
                call_answered(relay->sse, id);
}

void http_sse_relay_done(struct relay *relay)
{
        struct http_sse *sse = relay->sse;

        if (!relay->is_endless)
                return post_done(relay);
        struct http_endpoint *endpoint = sse->endpoint;
        struct worker *worker = endpoint->worker;
        bool was_for_it = sse->is_created || worker->spec->kind == KEY_TRANSPORT, was_attached = sse->target;
        char id[IPC_KEY_SIZE];

        (void) STR_COPY(id, sse->id);
        sse_free(sse);
        http_endpoint_leave(endpoint, id);
        /* A session that is reached otherwise, too, waits for the next one. */
        if (was_for_it && (!was_attached || worker->spec->kind == KEY_TRANSPORT) && !worker->spec->is_managed &&
            clients_count(worker->clients) == 0)
                life_end(worker->life, GONE_DELETED, REASON_session_ended, "its client's event stream ended");
}
