#include "worker/http_adopt.h"

#include "common/event_reader.h"
#include "common/jsonrpc.h"
#include "common/mcp.h"
#include "worker/adopt.h"
#include "worker/http_tell.h"
#include "worker/relay_private.h"
#include "worker/relay_request.h"

#define ADOPTIONS_MAX 64u                 /* at once */
#define ANSWER_BYTES_MAX (1024u * 1024)   /* to initialize */

static const char initialized[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";

struct http_adoption {
        TAILQ_ENTRY(http_adoption) entry;
        struct http_endpoint *endpoint;
        char client_id[IPC_KEY_SIZE];  /* "" where it is for one request alone */
        char backend_id[IPC_KEY_SIZE]; /* what the backend's answer said; "" for none */
        char version[CLIENT_VERSION_SIZE]; /* asked for, then negotiated */
        bool is_known;                 /* the client is attached: it was initialized at another backend before */
        struct http_conn *conn;        /* NULL: not asked yet */
        bool asked_with_slash, was_redirected;
        bool is_answered, is_taken;    /* initialize was, and with a result; the backend is told that it is */
        size_t answer_bytes;
        struct evbuffer *answer;
        struct event_reader events;
        struct event *deadline;
};

/* ---- what it is ---- */

static void adoption_free(struct http_adoption *adoption)
{
        http_conn_free(adoption->conn);
        if (adoption->answer)
                evbuffer_free(adoption->answer);
        event_reader_done(&adoption->events);
        if (adoption->deadline)
                event_free(adoption->deadline);
        free(adoption);
}

static void adoption_unlink(struct http_adoption *adoption)
{
        TAILQ_REMOVE(&adoption->endpoint->adoptions, adoption, entry);
        adoption->endpoint->n_adoptions--;
}

static struct relay *find_waiting(const struct http_adoption *adoption)
{
        struct relay *relay;

        TAILQ_FOREACH(relay, &adoption->endpoint->relays, entry)
                if (relay->adoption == adoption)
                        return relay;
        return NULL;
}

/* ---- its ends: each relay is looked for again, since answering one may end others ---- */

static void fail(struct http_adoption *adoption, enum reason reason, const char *detail)
{
        struct relay *relay;

        adoption_unlink(adoption);
        http_tell_ended(adoption->endpoint, adoption->backend_id);
        while ((relay = find_waiting(adoption)))
                relay_fail_reason(relay, reason, detail);
        adoption_free(adoption);
}

/* The backend may be dying: each relay waits a moment for the news of that. */
static void break_off(struct http_adoption *adoption, int error)
{
        struct relay *relay;

        adoption_unlink(adoption);
        while ((relay = find_waiting(adoption))) {
                relay->adoption = NULL;
                relay_break(relay, error);
        }
        adoption_free(adoption);
}

static void start_alone(struct relay *relay, const char *backend_id)
{
        relay->adoption = NULL;
        relay->own_session = strdup(backend_id);
        if (relay->own_session)
                return relay_start(relay);
        http_tell_ended(relay->endpoint, backend_id);
        relay_fail_reason(relay, REASON_internal, NULL);
}

/* The client may have left meanwhile. */
static int introduce(const struct http_adoption *adoption)
{
        struct client *client = http_endpoint_client(adoption->endpoint, adoption->client_id);

        if (!client)
                return -ENOENT;
        client->is_unknown = false;
        return STR_COPY(client->backend_id, adoption->backend_id);
}

/* Routers hear of the client before its message goes on. */
static void settle(struct http_adoption *adoption)
{
        struct http_endpoint *endpoint = adoption->endpoint;
        bool is_alone = !adoption->client_id[0];
        int r = is_alone             ? 0
                : adoption->is_known ? introduce(adoption)
                                     : http_endpoint_adopt(endpoint, adoption->client_id, adoption->backend_id);
        struct relay *relay;

        if (r == -ENOENT)
                return fail(adoption, REASON_unknown_session, NULL);
        if (r == -ENOSPC)
                return fail(adoption, REASON_overloaded, "all of the clients it may have are busy");
        if (r < 0)
                return fail(adoption, REASON_internal, strerror(-r));
        adoption_unlink(adoption);
        if (is_alone && !find_waiting(adoption))
                http_tell_ended(endpoint, adoption->backend_id);
        while ((relay = find_waiting(adoption))) {
                if (is_alone) {
                        start_alone(relay, adoption->backend_id);
                } else {
                        relay->adoption = NULL;
                        relay_start(relay);
                }
        }
        adoption_free(adoption);
}

static void on_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        fail(userdata, REASON_deadline, "the backend did not answer the handshake");
}

/* ---- towards the backend ---- */

static const struct http_conn_ops adopt_ops;

static int ask(struct http_adoption *adoption, const char *body, size_t size)
{
        struct http_endpoint *endpoint = adoption->endpoint;
        const struct relay *relay = find_waiting(adoption);
        int fd = http_address_connect(endpoint->address);

        if (fd < 0)
                return fd;
        adoption->conn = http_conn_free(adoption->conn);
        adoption->asked_with_slash = relay_path_has_slash(endpoint->mcp_path);
        int r = http_conn_new(endpoint->worker->base, fd, HTTP_CLIENT, &endpoint->limits, &adopt_ops, adoption,
                              &adoption->conn);

        if (r >= 0)
                r = http_tell_begin(adoption->conn, endpoint, "POST", endpoint->mcp_path);
        if (r >= 0 && relay)
                r = relay_request_add_sender(adoption->conn, relay->exchange);
        if (r >= 0 && adoption->is_taken)
                r = http_conn_add_header(adoption->conn, "MCP-Protocol-Version", adoption->version);
        return r < 0 ? r : http_tell_end(adoption->conn, adoption->backend_id, body, size);
}

static void say_initialized(struct http_adoption *adoption)
{
        int r = ask(adoption, initialized, sizeof(initialized) - 1);

        if (r < 0)
                break_off(adoption, r);
}

static void say_initialize(struct http_adoption *adoption)
{
        const struct client *client = http_endpoint_client(adoption->endpoint, adoption->client_id);
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        if (client && client->initialize) {
                r = ask(adoption, client->initialize, client->initialize_size);
        } else {
                r = adopt_initialize(adoption->version, &text, &size);
                if (r >= 0)
                        r = ask(adoption, text, size);
        }
        if (r < 0)
                break_off(adoption, r);
}

/* ---- what comes back ---- */

/* True when this is the answer to initialize, which is noted. */
static bool take_message(const char *text, size_t size, void *userdata)
{
        struct http_adoption *adoption = userdata;
        struct jsonrpc_message message;
        struct json_slice version;
        char negotiated[CLIENT_VERSION_SIZE];

        if (size == 0 || jsonrpc_parse(text, size, &message) < 0 || message.kind != JSONRPC_RESPONSE)
                return false;
        adoption->is_answered = true;
        adoption->is_taken = message.result.size > 0;
        if (adoption->is_taken && json_get(message.result, "protocolVersion", &version) >= 0 &&
            json_string_copy(version, negotiated, sizeof(negotiated)) > 0)
                (void) STR_COPY(adoption->version, negotiated);
        return true;
}

/* A client that had initialized itself can do so again. */
static void refused(struct http_adoption *adoption)
{
        if (adoption->is_known) {
                http_endpoint_leave(adoption->endpoint, adoption->client_id);
                return fail(adoption, REASON_unknown_session, "the fresh backend did not take its initialize");
        }
        fail(adoption, REASON_backend_protocol, "it refused the handshake that a client needs");
}

static void go_on(struct http_adoption *adoption)
{
        const struct client *client = http_endpoint_client(adoption->endpoint, adoption->client_id);
        bool is_same = !client || !client->version[0] || streq(client->version, adoption->version);

        if (adoption->is_taken && is_same)
                say_initialized(adoption);
        else
                refused(adoption);
}

static void take_backend_id(struct http_adoption *adoption, const struct http_head *head)
{
        struct http_slice id;

        if (http_head_get(head, "Mcp-Session-Id", &id) < 0 || id.size >= sizeof(adoption->backend_id))
                return;
        memcpy(adoption->backend_id, id.data, id.size);
        adoption->backend_id[id.size] = '\0';
}

static void on_head(_unused_ struct http_conn *conn, const struct http_head *head, void *userdata)
{
        struct http_adoption *adoption = userdata;

        /* Whatever it thinks of being told: it has heard. */
        if (adoption->is_taken)
                return settle(adoption);
        if (!adoption->was_redirected && relay_path_follow(adoption->endpoint, adoption->asked_with_slash, head)) {
                adoption->was_redirected = true;
                return say_initialize(adoption);
        }
        if (head->status != 200)
                return refused(adoption);
        take_backend_id(adoption, head);
}

static void on_body(struct http_conn *conn, const void *data, size_t size, void *userdata)
{
        struct http_adoption *adoption = userdata;

        adoption->answer_bytes += size;
        if (relay_events_can_be_read(http_conn_head(conn)))
                (void) event_reader_feed(&adoption->events, data, size, take_message, adoption);
        else
                evbuffer_add(adoption->answer, data, size);
        if (adoption->is_answered)
                go_on(adoption);
        else if (adoption->answer_bytes > ANSWER_BYTES_MAX)
                fail(adoption, REASON_backend_protocol, "its answer to initialize is too long");
}

static void on_end(_unused_ struct http_conn *conn, void *userdata)
{
        struct http_adoption *adoption = userdata;

        if (take_message((const char *) evbuffer_pullup(adoption->answer, -1), evbuffer_get_length(adoption->answer),
                         adoption))
                go_on(adoption);
        else
                fail(adoption, REASON_backend_protocol, "it did not answer initialize");
}

static void on_close(_unused_ struct http_conn *conn, int error, void *userdata)
{
        break_off(userdata, error);
}

static const struct http_conn_ops adopt_ops = {
        .on_head = on_head, .on_body = on_body, .on_end = on_end, .on_close = on_close,
};

/* ---- who needs one ---- */

static bool is_stranger(const struct http_endpoint *endpoint, const struct exchange *exchange)
{
        return endpoint->worker->spec->kind == KEY_META && exchange->head->method == HTTP_POST && !exchange->is_minted &&
               !http_exchange_is_modern(exchange) &&
               !(exchange->transport_id[0] && http_endpoint_client(endpoint, exchange->transport_id));
}

bool http_adopt_is_due(const struct http_endpoint *endpoint, const struct exchange *exchange, bool is_mcp)
{
        if (is_mcp && is_stranger(endpoint, exchange))
                return true;
        if (is_mcp && exchange->head->method == HTTP_DELETE)
                return false;
        const struct client *client = http_endpoint_speaker(endpoint, exchange, is_mcp);

        return client && client->is_unknown;
}

static struct http_adoption *find_of(const struct http_endpoint *endpoint, const char *client_id)
{
        struct http_adoption *adoption;

        if (!*client_id)
                return NULL;
        TAILQ_FOREACH(adoption, &endpoint->adoptions, entry)
                if (streq(adoption->client_id, client_id))
                        return adoption;
        return NULL;
}

/* What a client says it speaks is what the backend is asked for. */
static const char *version_of(const struct http_head *head)
{
        struct http_slice value;

        if (http_head_get(head, "MCP-Protocol-Version", &value) >= 0)
                for (const char *const *version = mcp_legacy_versions; *version; version++)
                        if (http_slice_is(value, *version))
                                return *version;
        return ADOPT_VERSION_DEFAULT;
}

static void begin(struct http_adoption *adoption)
{
        usec_t usec = adoption->endpoint->worker->spec->request_usec;
        struct timeval wait = usec_to_timeval(usec);

        if (usec != USEC_INFINITY)
                event_add(adoption->deadline, &wait);
        say_initialize(adoption);
}

static struct http_adoption *adoption_new(struct relay *relay, const char *client_id)
{
        struct http_endpoint *endpoint = relay->endpoint;
        struct http_adoption *adoption = calloc(1, sizeof(*adoption));

        if (!adoption)
                return NULL;
        adoption->endpoint = endpoint;
        (void) STR_COPY(adoption->client_id, client_id);
        adoption->is_known = http_endpoint_client(endpoint, client_id);
        (void) STR_COPY(adoption->version, version_of(relay->exchange->head));
        adoption->answer = evbuffer_new();
        adoption->deadline = evtimer_new(endpoint->worker->base, on_deadline, adoption);
        if (!adoption->answer || !adoption->deadline) {
                adoption_free(adoption);
                return NULL;
        }
        TAILQ_INSERT_TAIL(&endpoint->adoptions, adoption, entry);
        endpoint->n_adoptions++;
        return adoption;
}

void http_adopt(struct relay *relay)
{
        struct http_endpoint *endpoint = relay->endpoint;
        const struct client *client = relay->is_mcp && is_stranger(endpoint, relay->exchange)
                ? NULL : http_endpoint_speaker(endpoint, relay->exchange, relay->is_mcp);
        const char *client_id = client ? client->transport_id : relay->client_id;

        relay->adoption = find_of(endpoint, client_id);
        if (relay->adoption)
                return;
        if (endpoint->n_adoptions >= ADOPTIONS_MAX)
                return relay_refuse(relay, REASON_overloaded);
        relay->adoption = adoption_new(relay, client_id);
        if (!relay->adoption)
                relay_refuse(relay, REASON_internal);
        else if (endpoint->is_listening)
                begin(relay->adoption);
}

void http_adopt_listening(struct http_endpoint *endpoint)
{
        struct http_adoption *next;

        for (struct http_adoption *adoption = TAILQ_FIRST(&endpoint->adoptions); adoption; adoption = next) {
                next = TAILQ_NEXT(adoption, entry);
                begin(adoption);
        }
}

void http_adopt_done(struct http_endpoint *endpoint)
{
        struct http_adoption *adoption;

        while ((adoption = TAILQ_FIRST(&endpoint->adoptions))) {
                adoption_unlink(adoption);
                adoption_free(adoption);
        }
}
