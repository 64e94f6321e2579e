#include "router/exchange.h"

#include "common/jsonrpc.h"
#include "common/log.h"
#include "common/mcp.h"
#include "router/answer.h"
#include "router/cors.h"
#include "router/forward.h"
#include "router/peek.h"
#include "router/router.h"
#include "router/session_api.h"
#include "router/sse.h"
#include "router/stateless.h"

static void refuse_body(struct exchange *e, const void *data, size_t size);
static void refuse_end(struct exchange *e);

#define TO(state) (1u << EXCHANGE_##state)

/* What each state may become, and what it does with the request's body. */
static const struct {
        const char *name;
        unsigned next;
        bool is_paused; /* nothing is read from the client */
        void (*on_body)(struct exchange *e, const void *data, size_t size);
        void (*on_end)(struct exchange *e);
} states[EXCHANGE__MAX] = {
        [EXCHANGE_IDLE] = { .name = "idle", .next = TO(ROUTING) },
        [EXCHANGE_ROUTING] = { .name = "routing",
                .next = TO(PEEKING) | TO(COLLECTING) | TO(ASKING) | TO(FORWARDING) | TO(REFUSING) | TO(IDLE) },
        [EXCHANGE_PEEKING] = { .name = "peeking", .on_body = peek_body, .on_end = peek_end,
                .next = TO(ASKING) | TO(FORWARDING) | TO(REFUSING) | TO(IDLE) },
        [EXCHANGE_COLLECTING] = { .name = "collecting", .on_body = session_api_body, .on_end = session_api_end,
                .next = TO(ASKING) | TO(IDLE) },
        [EXCHANGE_ASKING] = { .name = "asking", .is_paused = true,
                .next = TO(ASKING) | TO(FORWARDING) | TO(REFUSING) | TO(IDLE) },
        [EXCHANGE_FORWARDING] = { .name = "forwarding", .on_body = forward_body, .on_end = forward_end,
                .next = TO(ASKING) | TO(REFUSING) | TO(BROKEN) | TO(IDLE) },
        [EXCHANGE_REFUSING] = { .name = "refusing", .on_body = refuse_body, .on_end = refuse_end,
                .next = TO(IDLE) },
        [EXCHANGE_BROKEN] = { .name = "broken", .next = TO(IDLE) },
};

#undef TO

void exchange_enter(struct exchange *e, enum exchange_state state)
{
        bool was_paused = states[e->state].is_paused, is_paused = states[state].is_paused;

        assert(states[e->state].next & 1u << state);
        log_debug("exchange: %s -> %s", states[e->state].name, states[state].name);
        e->state = state;
        if (is_paused && !was_paused)
                http_conn_pause(e->client);
        else if (was_paused && !is_paused)
                http_conn_resume(e->client);
}

void exchange_init(struct exchange *e, struct router *router, struct http_conn *client)
{
        *e = (struct exchange) { .router = router, .client = client, .principal = "",
                                 .body.budget = &router->bodies };
}

/* Gives up what the current request holds. */
static void exchange_release(struct exchange *e)
{
        ask_cancel(&e->router->asks, &e->asker);
        e->upstream = upstream_drop(e->upstream);
        body_reset(&e->body);
        failure_owned_free(e->refusal);
        e->refusal = NULL;
        e->origin = (struct http_slice) {};
}

void exchange_answered(struct exchange *e)
{
        exchange_release(e);
        exchange_enter(e, EXCHANGE_IDLE);
        http_conn_resume(e->client); /* a full worker may have paused it */
        router_count_request(e->router, false);
        client_set_busy(e, false);
}

void exchange_abandon(struct exchange *e)
{
        if (e->state != EXCHANGE_IDLE)
                router_count_request(e->router, false);
        exchange_release(e);
        e->state = EXCHANGE_IDLE;
}


/* ---- requests, by the kind of path ---- */

static enum answer_form form_of(const struct exchange *e)
{
        return e->route.kind == ROUTE_MCP || e->route.kind == ROUTE_SSE || e->route.kind == ROUTE_MESSAGE
                ? ANSWER_JSONRPC : ANSWER_PLAIN;
}

/* Reads the key; false when the request was answered because of it. */
static bool read_key(struct exchange *e)
{
        const char *why = NULL;
        int r = key_of_request(e->head, e->route.key, e->router->config.session_header,
                               e->is_modern, &e->key, &why);

        if (r == -ENOENT)
                exchange_fail_reason(e, REASON_unknown_session, NULL);
        else if (r < 0)
                exchange_fail_reason(e, REASON_bad_request, why);
        else if (e->key.kind == KEY_NAMED && !(e->server.keys & 1u << KEY_NAMED))
                exchange_fail_reason(e, REASON_bad_request, "this server takes no keys by name");
        else
                return true;
        return false;
}

static void start_mcp(struct exchange *e)
{
        e->is_modern = mcp_head_is_modern(e->head);
        if (e->is_modern && e->head->method != HTTP_POST)
                return exchange_fail_reason(e, REASON_method_not_allowed, "MCP 2026-07-28 has only POST");
        if (!read_key(e))
                return;
        if (e->is_modern)
                stateless_start(e);
        else if (e->head->method == HTTP_POST && peek_is_needed(e))
                peek_start(e);
        else if (e->key.kind)
                exchange_find_session(e);
        else
                exchange_fail_unnamed(e, REASON_session_required);
}

static void start_sse(struct exchange *e)
{
        if (read_key(e))
                sse_start(e);
}

static void start_message(struct exchange *e)
{
        if (read_key(e))
                sse_message_start(e);
}

static void start_other(struct exchange *e)
{
        if (!read_key(e))
                return;
        if (e->key.kind)
                exchange_find_session(e);
        else
                exchange_fail_reason(e, REASON_session_required, "Missing mcp-session-id header");
}

static void start_session_api(struct exchange *e)
{
        if (read_key(e))
                session_api_start(e);
}

static void start_probe(struct exchange *e)
{
        bool is_ok = e->route.kind == ROUTE_HEALTH || (e->router->link.is_ready && !e->router->is_stopping);
        const char *text = is_ok ? "ok\n" : "the supervisor is away\n";

        http_conn_start_response(e->client, is_ok ? 200 : 503);
        cors_add_headers(e->client, e->origin);
        http_conn_respond(e->client, is_ok ? 200 : 503, "text/plain", text, strlen(text));
        exchange_answered(e);
}

static void (*const starts[])(struct exchange *e) = {
        [ROUTE_MCP] = start_mcp,
        [ROUTE_SSE] = start_sse,
        [ROUTE_MESSAGE] = start_message,
        [ROUTE_OTHER] = start_other,
        [ROUTE_SESSION] = start_session_api,
        [ROUTE_RESET] = start_session_api,
        [ROUTE_HEALTH] = start_probe,
        [ROUTE_READY] = start_probe,
};

/* Whether the page may do what it asks about is seen when it does. */
static void start_preflight(struct exchange *e)
{
        cors_answer_preflight(e->client, e->head, e->origin, route_methods(e->route.kind),
                              e->router->config.session_header);
        exchange_answered(e);
}

/* Probes ask by address and may not know our name; they learn nothing worth guarding. */
static bool route_is_guarded(const struct route *route)
{
        return route->kind != ROUTE_HEALTH && route->kind != ROUTE_READY;
}

static void exchange_start(struct exchange *e)
{
        enum reason reason;
        int r = route_find(&e->router->servers, e->head->target, &e->route);

        if (r < 0)
                e->route.kind = ROUTE_OTHER;
        if (guard_check(&e->router->guard, e->head, &e->origin, &reason) < 0 && route_is_guarded(&e->route))
                return exchange_fail_reason(e, reason, NULL);
        if (e->origin.size > 0 && cors_is_preflight(e->head))
                return start_preflight(e);
        if (r < 0)
                return exchange_fail_reason(e, REASON_unknown_path, NULL);
        if (!route_allows(e->route.kind, e->head->method))
                return exchange_fail_reason(e, REASON_method_not_allowed, route_methods(e->route.kind));
        if (e->route.server)
                e->server = *e->route.server;
        e->route.server = NULL;
        starts[e->route.kind](e);
}

void exchange_on_head(struct exchange *e, const struct http_head *head)
{
        exchange_enter(e, EXCHANGE_ROUTING);
        e->head = head;
        e->route = (struct route) {};
        e->is_modern = e->is_ended = e->may_create = e->has_seed = e->is_created = e->is_over = e->is_event_stream = false;
        e->minted[0] = e->session_id[0] = '\0';
        e->config = (struct json_slice) {};
        e->n_retries = 0;
        client_set_busy(e, true);
        router_count_request(e->router, true);
        exchange_start(e);
}

void exchange_on_body(struct exchange *e, const void *data, size_t size)
{
        if (states[e->state].on_body)
                states[e->state].on_body(e, data, size);
}

void exchange_on_end(struct exchange *e)
{
        e->is_ended = true;
        if (states[e->state].on_end)
                states[e->state].on_end(e);
}

void exchange_on_drained(struct exchange *e)
{
        if (e->upstream)
                http_conn_resume(e->upstream->http);
}

/* ---- answers of our own ---- */

struct json_slice exchange_request_id(const struct exchange *e)
{
        struct jsonrpc_message message;

        if (!e->is_ended || e->body.size == 0 || e->route.kind != ROUTE_MCP || e->head->method != HTTP_POST ||
            jsonrpc_parse(e->body.data, e->body.size, &message) < 0 || message.kind != JSONRPC_REQUEST)
                return (struct json_slice) {};
        return message.id;
}

static void refuse_now(struct exchange *e, const struct failure *f)
{
        const char *allow = f->reason != REASON_method_not_allowed ? NULL
                            : e->is_modern                         ? "POST"
                                                                   : route_methods(e->route.kind);

        if (!e->is_ended && e->head->expect_continue) /* a body that was not asked for may never come */
                http_conn_set_close(e->client);
        answer_failure(e->client, form_of(e), e->is_over ? 404 : 0, f, exchange_request_id(e), allow,
                       e->origin);
        exchange_answered(e);
}

/* A failure that is ours is told under the request's id, which stands in the body; one of a stateless
 * request always: its clients take an error for one only under that id. */
static bool refusal_needs_id(const struct exchange *e, const struct failure *f)
{
        return e->route.kind == ROUTE_MCP && e->head->method == HTTP_POST && !e->is_over &&
               (e->is_modern || reason_http_status(f->reason) == 503) && !e->is_ended && !e->body.is_partial &&
               e->body.size <= KEEP_BYTES_MAX &&
               !(e->head->has_content_length && e->head->content_length > KEEP_BYTES_MAX);
}

static struct failure_owned *failure_copy(const struct failure *f)
{
        _cleanup_free_ char *json = NULL;
        struct failure_owned *copy = NULL;
        size_t size;

        if (failure_to_json(f, &json, &size) < 0 || failure_from_json(json, size, &copy) < 0)
                return NULL;
        return copy;
}

void exchange_fail(struct exchange *e, const struct failure *f)
{
        ask_cancel(&e->router->asks, &e->asker);
        e->upstream = upstream_drop(e->upstream);
        if (http_conn_is_responding(e->client))
                return forward_break(e, f);
        if (refusal_needs_id(e, f) && (e->refusal = failure_copy(f))) {
                http_conn_resume(e->client);
                exchange_enter(e, EXCHANGE_REFUSING);
                return;
        }
        refuse_now(e, f);
}

void exchange_fail_reason(struct exchange *e, enum reason reason, const char *detail)
{
        exchange_fail(e, &(struct failure) { .reason = reason, .detail = detail });
}

void exchange_fail_unnamed(struct exchange *e, enum reason reason)
{
        char ways[KEY_WAYS_SIZE];

        exchange_fail_reason(e, reason, key_ways(&e->server, e->router->config.session_header, ways));
}

void exchange_fail_no_memory(struct exchange *e, int error)
{
        exchange_fail_reason(e, error == -ENOBUFS ? REASON_overloaded : REASON_internal,
                             error == -ENOBUFS ? "too many requests are being read" : "out of memory");
}

static void refuse_body(struct exchange *e, const void *data, size_t size)
{
        (void) body_append(&e->body, data, size, KEEP_BYTES_MAX);
        if (e->body.is_partial)
                refuse_now(e, failure_get(e->refusal));
}

static void refuse_end(struct exchange *e)
{
        refuse_now(e, failure_get(e->refusal));
}

void exchange_on_error(struct exchange *e, unsigned status, const char *why)
{
        ask_cancel(&e->router->asks, &e->asker);
        e->upstream = upstream_drop(e->upstream);
        (void) answer_http_error(e->client, status, why, e->origin);
}
