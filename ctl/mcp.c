#include "ctl/mcp.h"
#include "common/jsonrpc.h"
#include "ctl/fetch.h"
#include "common/event_reader.h"

#include <arpa/inet.h>
#include <config.h>
#include <stdio.h>

#define REVISION "2025-11-25"
#define ANSWER_BYTES_MAX (64 * 1024 * 1024)

static int parse_port(const char *text, uint16_t *ret)
{
        unsigned long port;
        char *rest;

        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        port = strtoul(text, &rest, 10);
        if (*rest || port == 0 || port > UINT16_MAX)
                return -EINVAL;
        *ret = (uint16_t) port;
        return 0;
}

/* "127.0.0.1:8700", "[::1]:8700", "localhost". */
static int parse_host(const char *host, struct mcp_endpoint *endpoint)
{
        bool is_bracketed = host[0] == '[';
        const char *address = host + is_bracketed, *end = strchrnul(address, is_bracketed ? ']' : ':');
        const char *rest = end + (is_bracketed && *end == ']');
        size_t size = (size_t) (end - address);
        struct in6_addr scratch;

        if (size >= sizeof(endpoint->address) || (is_bracketed && *end != ']'))
                return -EINVAL;
        memcpy(endpoint->address, address, size);
        endpoint->address[size] = '\0';
        if (streq(endpoint->address, "localhost"))
                STR_COPY(endpoint->address, "127.0.0.1");
        if (inet_pton(is_bracketed ? AF_INET6 : AF_INET, endpoint->address, &scratch) != 1)
                return -EINVAL;
        endpoint->port = 80;
        if (*rest == '\0')
                return 0;
        return *rest == ':' ? parse_port(rest + 1, &endpoint->port) : -EINVAL;
}

int mcp_endpoint_parse(const char *url, struct mcp_endpoint *ret)
{
        static const char scheme[] = "http://";
        struct mcp_endpoint endpoint;
        const char *host = url + sizeof(scheme) - 1;
        size_t size;

        if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
                return -EINVAL;
        size = strcspn(host, "/?#");
        if (size >= sizeof(endpoint.host))
                return -EINVAL;
        memcpy(endpoint.host, host, size);
        endpoint.host[size] = '\0';
        if (parse_host(endpoint.host, &endpoint) < 0)
                return -EINVAL;
        endpoint.target = strdup(host[size] == '/' ? host + size : "/");
        if (!endpoint.target)
                return -ENOMEM;
        *ret = endpoint;
        return 0;
}

void mcp_answer_done(struct mcp_answer *answer)
{
        free(answer->text);
        *answer = (struct mcp_answer) { .text = NULL };
}

void mcp_done(struct mcp *mcp)
{
        free(TAKE_PTR(mcp->endpoint.target));
}

/* ---- one exchange ------------------------------------------------------------------------------ */

struct exchange {
        struct mcp *mcp;
        unsigned id;              /* of the request */
        unsigned status;
        bool is_stream;
        struct event_reader events;
        struct json_writer body;  /* of an answer that is no stream */
        struct mcp_answer answer; /* text NULL: none yet */
        int error;
};

/* Takes message when it is the answer. */
static bool take_answer(const char *text, size_t size, void *userdata)
{
        struct exchange *exchange = userdata;
        struct jsonrpc_message message;
        char id[16];

        snprintf(id, sizeof(id), "%u", exchange->id);
        exchange->answer.text = strndup(text, size);
        if (exchange->answer.text && jsonrpc_parse(exchange->answer.text, size, &message) >= 0 &&
            message.kind == JSONRPC_RESPONSE &&
            (jsonrpc_id_equal(message.id, (struct json_slice) { .data = id, .size = strlen(id) }) ||
             exchange->status != 200)) {
                exchange->answer.result = message.result;
                exchange->answer.error = message.error;
                return true;
        }
        mcp_answer_done(&exchange->answer);
        return false;
}

static void on_head(const struct http_head *head, void *userdata)
{
        struct exchange *exchange = userdata;
        struct http_slice id;

        exchange->status = head->status;
        exchange->is_stream = http_head_lists(head, "Content-Type", "text/event-stream");
        if (http_head_get(head, "Mcp-Session-Id", &id) == 0 && id.size < sizeof(exchange->mcp->transport_id)) {
                memcpy(exchange->mcp->transport_id, id.data, id.size);
                exchange->mcp->transport_id[id.size] = '\0';
        }
}

static bool on_body(const char *data, size_t size, void *userdata)
{
        struct exchange *exchange = userdata;
        int r;

        if (exchange->is_stream) {
                r = event_reader_feed(&exchange->events, data, size, take_answer, exchange);
        } else {
                json_writer_raw(&exchange->body, data, size);
                r = exchange->body.failed ? -ENOMEM : exchange->body.size > ANSWER_BYTES_MAX ? -EFBIG : 0;
        }
        if (r < 0)
                exchange->error = r;
        return r != 0;
}

static const struct fetch_handlers handlers = { .on_head = on_head, .on_body = on_body };

static int exchange_run(struct exchange *exchange, const char *method, const char *body, size_t body_size)
{
        struct mcp *mcp = exchange->mcp;
        const struct fetch_header headers[] = {
                { "Host", mcp->endpoint.host },
                { "User-Agent", "envmux/" PACKAGE_VERSION },
                { "Accept", "application/json, text/event-stream" },
                { "Content-Type", body ? "application/json" : NULL },
                { "Mcp-Session-Id", mcp->transport_id[0] ? mcp->transport_id : NULL },
                { "MCP-Protocol-Version", mcp->version[0] ? mcp->version : NULL },
        };
        const struct fetch_request request = {
                .address = mcp->endpoint.address,
                .port = mcp->endpoint.port,
                .method = method,
                .target = mcp->endpoint.target,
                .headers = headers,
                .n_headers = ELEMENTSOF(headers),
                .body = body,
                .body_size = body_size,
                .timeout_usec = mcp->timeout_usec,
        };
        int r = fetch_run(&request, &handlers, exchange);

        if (r >= 0)
                r = exchange->error;
        if (r >= 0 && !exchange->answer.text && exchange->body.size > 0)
                (void) take_answer(exchange->body.data, exchange->body.size, exchange);
        return r;
}

static void exchange_done(struct exchange *exchange)
{
        event_reader_done(&exchange->events);
        json_writer_done(&exchange->body);
        mcp_answer_done(&exchange->answer);
}

static int fail(const struct mcp *mcp, int error)
{
        switch (error) {
        case -ECONNREFUSED:
                ctl_fail("nothing listens on %s", mcp->endpoint.host);
                return CTL_NO_DAEMON;
        case -ETIMEDOUT:
                return ctl_fail("%s%s did not answer in time; see --timeout", mcp->endpoint.host, mcp->endpoint.target);
        case -ECONNRESET:
                return ctl_fail("%s closed the connection before it had answered", mcp->endpoint.host);
        case -EPROTO:
                return ctl_fail("what answers on %s does not speak HTTP", mcp->endpoint.host);
        default:
                return ctl_fail("cannot ask %s: %s", mcp->endpoint.host, strerror(-error));
        }
}

/* ---- the protocol ------------------------------------------------------------------------------ */

static int post(struct exchange *exchange, const char *method, struct json_writer *params)
{
        struct json_writer message = { .data = NULL };
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        json_writer_text(&message, "{\"jsonrpc\":\"2.0\",");
        if (exchange->id > 0)
                json_writer_format(&message, "\"id\":%u,", exchange->id);
        json_writer_text(&message, "\"method\":");
        json_writer_string(&message, method);
        if (params) {
                json_writer_text(&message, ",\"params\":");
                json_writer_raw(&message, params->data, params->size);
                message.failed = message.failed || params->failed;
                json_writer_done(params);
        }
        json_writer_text(&message, "}");
        r = json_writer_finish(&message, &text, &size);
        return r < 0 ? r : exchange_run(exchange, "POST", text, size);
}

int mcp_request(struct mcp *mcp, const char *method, struct json_writer *params, struct mcp_answer *ret)
{
        struct exchange exchange = { .mcp = mcp, .id = ++mcp->last_id };
        int r = post(&exchange, method, params), status = CTL_OK;

        if (r < 0)
                status = fail(mcp, r);
        else if (!exchange.answer.text)
                status = ctl_fail("%s%s answered %s with HTTP status %u and no JSON-RPC response; is this an MCP "
                                  "endpoint?", mcp->endpoint.host, mcp->endpoint.target, method, exchange.status);
        if (status == CTL_OK) {
                *ret = exchange.answer;
                exchange.answer = (struct mcp_answer) { .text = NULL };
        }
        exchange_done(&exchange);
        return status;
}

static int notify(struct mcp *mcp, const char *method)
{
        struct exchange exchange = { .mcp = mcp };
        int r = post(&exchange, method, NULL), status = CTL_OK;

        if (r < 0)
                status = fail(mcp, r);
        else if (exchange.status >= 300)
                status = ctl_fail("%s%s answered %s with HTTP status %u", mcp->endpoint.host, mcp->endpoint.target,
                                  method, exchange.status);
        exchange_done(&exchange);
        return status;
}

int mcp_open(struct mcp *mcp)
{
        struct json_writer params = { .data = NULL };
        struct mcp_answer answer;
        struct json_slice version;
        int status;

        json_writer_text(&params, "{\"protocolVersion\":\"" REVISION "\",\"capabilities\":{},\"clientInfo\":"
                                  "{\"name\":\"envmux-call\",\"version\":\"" PACKAGE_VERSION "\"}}");
        status = mcp_request(mcp, "initialize", &params, &answer);
        if (status != CTL_OK)
                return status;
        if (answer.error.size > 0)
                status = mcp_explain(answer.error);
        else if (json_get(answer.result, "protocolVersion", &version) < 0 ||
                 json_string_copy(version, mcp->version, sizeof(mcp->version)) <= 0)
                status = ctl_fail("the server's answer to initialize names no protocolVersion");
        mcp_answer_done(&answer);
        return status == CTL_OK ? notify(mcp, "notifications/initialized") : status;
}

void mcp_close(struct mcp *mcp)
{
        struct exchange exchange = { .mcp = mcp };

        /* A server that keeps no sessions says 405; one that is gone has nothing to end. */
        if (mcp->transport_id[0])
                (void) exchange_run(&exchange, "DELETE", NULL, 0);
        exchange_done(&exchange);
}

/* Prints a decoded string value on standard error. */
static void print_string(const char *before, struct json_slice value)
{
        _cleanup_free_ char *text = malloc(value.size + 1);

        if (text && json_string_copy(value, text, value.size + 1) >= 0)
                fprintf(stderr, "%s%s\n", before, text);
}

int mcp_explain(struct json_slice error)
{
        struct json_slice message, reason, lines, line;
        size_t cursor = 0;

        if (json_get(error, "message", &message) < 0)
                return ctl_fail("the server answered with the error %.*s", (int) error.size, error.data);
        print_string("envmux: the server says: ", message);
        if (json_get_path(error, &reason, "data", "envmux", "reason", NULL) >= 0)
                print_string("  reason: ", reason);
        if (json_get_path(error, &lines, "data", "envmux", "stderr", NULL) >= 0)
                while (json_next(lines, &cursor, NULL, &line) > 0)
                        print_string("  stderr: ", line);
        return CTL_FAILED;
}
