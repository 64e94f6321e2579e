#include "examples/frozen-lake/mcp_stdio.h"

#include "common/fd.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES_MAX (1024 * 1024)
#define PARSE_ERROR (-32700)
#define INVALID_REQUEST (-32600)

/* Oldest first; the newest is offered to a client whose own is not among them. */
static const char *const revisions[] = { "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25" };

int mcp_error_set(struct mcp_error *ret, int code, const char *format, ...)
{
        va_list ap;

        ret->code = code;
        va_start(ap, format);
        (void) vsnprintf(ret->message, sizeof(ret->message), format, ap);
        va_end(ap);
        return -EREMOTEIO;
}

static const char *negotiate(struct json_slice params)
{
        struct json_slice wanted;

        if (json_get(params, "protocolVersion", &wanted) >= 0)
                for (size_t i = 0; i < ELEMENTSOF(revisions); i++)
                        if (json_string_is(wanted, revisions[i]))
                                return revisions[i];
        return revisions[ELEMENTSOF(revisions) - 1];
}

static int initialize(struct mcp_server *server, struct json_slice params, struct json_writer *result,
                      struct mcp_error *ret_error)
{
        if (!server->is_initialized) {
                int r = server->on_initialize(server->userdata, params, ret_error);

                if (r < 0)
                        return r;
                server->is_initialized = true;
        }
        json_writer_format(result, "{\"protocolVersion\":\"%s\",\"capabilities\":%s,\"serverInfo\":{\"name\":\"%s\","
                                   "\"version\":\"%s\"}}",
                           negotiate(params), server->capabilities, server->name, server->version);
        return 0;
}

static int dispatch(struct mcp_server *server, const struct jsonrpc_message *m, struct json_writer *result,
                    struct mcp_error *ret_error)
{
        if (jsonrpc_method_is(m, "initialize"))
                return initialize(server, m->params, result, ret_error);
        if (jsonrpc_method_is(m, "ping")) {
                json_writer_text(result, "{}");
                return 0;
        }
        for (const struct mcp_method *method = server->methods; method->name; method++)
                if (jsonrpc_method_is(m, method->name)) {
                        if (!server->is_initialized)
                                return mcp_error_set(ret_error, INVALID_REQUEST, "Send initialize first");
                        return method->fn(server->userdata, m->params, result, ret_error);
                }
        return mcp_error_set(ret_error, MCP_METHOD_NOT_FOUND, "Method not found");
}

static void write_error(struct json_writer *w, struct json_slice id, const struct mcp_error *error)
{
        json_writer_text(w, "{\"jsonrpc\":\"2.0\",\"id\":");
        json_writer_raw(w, id.size > 0 ? id.data : "null", id.size > 0 ? id.size : strlen("null"));
        json_writer_format(w, ",\"error\":{\"code\":%d,\"message\":", error->code);
        json_writer_string(w, error->message);
        json_writer_text(w, "}}");
}

/* Nothing is written for notifications, and for responses: this server never asks. */
static void answer_message(struct mcp_server *server, const struct jsonrpc_message *m, struct json_writer *w)
{
        _cleanup_json_writer_ struct json_writer result = { .failed = false };
        struct mcp_error error;

        if (m->kind != JSONRPC_REQUEST)
                return;
        if (dispatch(server, m, &result, &error) < 0) {
                write_error(w, m->id, &error);
                return;
        }
        json_writer_text(w, "{\"jsonrpc\":\"2.0\",\"id\":");
        json_writer_raw(w, m->id.data, m->id.size);
        json_writer_text(w, ",\"result\":");
        json_writer_raw(w, result.data, result.size);
        json_writer_text(w, "}");
        w->failed |= result.failed;
}

static void answer_refusal(struct json_writer *w, int r)
{
        struct mcp_error error;

        (void) mcp_error_set(&error, r == -EPROTO ? INVALID_REQUEST : PARSE_ERROR, "%s",
                             r == -EPROTO ? "Not a JSON-RPC 2.0 message" : "Not JSON");
        write_error(w, (struct json_slice) { NULL, 0 }, &error);
}

/* The answers to a batch are a batch, without the places of what is not answered (JSON-RPC 2.0 §6). */
static void answer_batch(struct mcp_server *server, struct json_slice batch, struct json_writer *w)
{
        struct json_slice value;
        size_t cursor = 0;
        bool any = false;

        while (json_next(batch, &cursor, NULL, &value) > 0) {
                _cleanup_json_writer_ struct json_writer answer = { .failed = false };
                struct jsonrpc_message m;
                int r = jsonrpc_parse_value(value, &m);

                if (r < 0)
                        answer_refusal(&answer, r);
                else
                        answer_message(server, &m, &answer);
                w->failed |= answer.failed;
                if (answer.size == 0)
                        continue;
                json_writer_text(w, any ? "," : "[");
                json_writer_raw(w, answer.data, answer.size);
                any = true;
        }
        if (any)
                json_writer_text(w, "]");
}

static int answer_line(struct mcp_server *server, const char *line, size_t size, int fd_out)
{
        _cleanup_json_writer_ struct json_writer w = { .failed = false };
        struct jsonrpc_message m;
        int r = jsonrpc_parse(line, size, &m);

        if (r < 0)
                answer_refusal(&w, r);
        else if (m.kind == JSONRPC_BATCH)
                answer_batch(server, m.whole, &w);
        else
                answer_message(server, &m, &w);
        if (w.size == 0 && !w.failed)
                return 0;
        json_writer_text(&w, "\n");
        return w.failed ? -ENOMEM : fd_write_all(fd_out, w.data, w.size);
}

/* What was read and not answered yet. */
struct input {
        char *data;
        size_t size;
        bool overlong; /* the line began further back than fits: the rest of it is passed over */
};

static int answer_lines(struct mcp_server *server, struct input *in, int fd_out)
{
        size_t start = 0;
        const char *newline;

        while ((newline = memchr(in->data + start, '\n', in->size - start))) {
                size_t size = (size_t) (newline - in->data) - start;
                int r = in->overlong || size == 0 ? 0 : answer_line(server, in->data + start, size, fd_out);

                if (r < 0)
                        return r;
                in->overlong = false;
                start += size + 1;
        }
        in->size -= start;
        memmove(in->data, in->data + start, in->size);
        if (in->size < LINE_BYTES_MAX)
                return 0;
        in->size = 0;
        if (in->overlong)
                return 0;
        in->overlong = true;
        return answer_line(server, "", 0, fd_out);
}

int mcp_stdio_run(struct mcp_server *server, int fd_in, int fd_out)
{
        _cleanup_free_ char *data = malloc(LINE_BYTES_MAX);
        struct input in = { .data = data };

        if (!data)
                return -ENOMEM;
        for (;;) {
                ssize_t n = read(fd_in, in.data + in.size, LINE_BYTES_MAX - in.size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                in.size += (size_t) n;
                int r = answer_lines(server, &in, fd_out);

                if (r < 0)
                        return r;
        }
}
