#include "common/http/http_conn_private.h"

#include "common/http/http_check.h"

#include <stdarg.h>
#include <stdio.h>

/* From this size on data is written from where it is instead of being gathered first. */
#define LARGE_BYTES (16 * 1024)

/* The rest of a request whose answer has ended is read this long to save the connection. */
#define SWALLOW_USEC (5 * USEC_PER_SEC)

static struct http_slice slice_of(const char *text)
{
        return (struct http_slice) { text, strlen(text) };
}

/* ---- head ------------------------------------------------------------------------------------- */

static int conn_may_start(const struct http_conn *c, enum http_role role)
{
        if (c->role != role)
                return -EINVAL;
        if (c->phase != CONN_OPEN || c->out.error < 0)
                return -EPIPE;
        if (c->sending != SENDING_NOTHING)
                return -EALREADY;
        if (role == HTTP_SERVER && c->receiving == RECEIVING_NOTHING && !c->is_refused)
                return -EINVAL;
        return 0;
}

static void message_reset(struct http_conn *c, bool is_bodiless)
{
        c->sending = SENDING_HEAD;
        c->is_bodiless = is_bodiless;
        c->is_close_delimited = c->needs_length = false;
        c->status = 0;
        c->length_left = 0;
}

int http_conn_start_response(struct http_conn *c, unsigned status)
{
        int r = conn_may_start(c, HTTP_SERVER);

        if (r < 0)
                return r;
        if (status < 200 || status > 999)
                return -EINVAL;
        struct http_slice text = slice_of(http_status_text(status));
        char line[] = { 'H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', (char) ('0' + status / 100),
                        (char) ('0' + status / 10 % 10), (char) ('0' + status % 10), ' ' };

        message_reset(c, c->answers_head || status == 204 || status == 304);
        c->status = status;
        if (c->owes_continue) { /* the client may or may not send the body now */
                c->owes_continue = false;
                c->is_kept_alive = false;
        }
        http_out_add(&c->out, line, sizeof(line));
        http_out_add(&c->out, text.data, text.size);
        http_out_add(&c->out, "\r\n", 2);
        return c->out.error;
}

static bool target_is_clean(struct http_slice target)
{
        for (size_t i = 0; i < target.size; i++)
                if (target.data[i] <= ' ' || target.data[i] == 0x7f)
                        return false;
        return target.size > 0;
}

int http_conn_start_request(struct http_conn *c, struct http_slice method, struct http_slice target)
{
        int r = conn_may_start(c, HTTP_CLIENT);

        if (r < 0)
                return r;
        if (!http_slice_is_token(method) || !target_is_clean(target))
                return -EINVAL;
        message_reset(c, false);
        c->out.written_bytes = 0;
        c->needs_length = http_slice_is(method, "POST") || http_slice_is(method, "PUT") || http_slice_is(method, "PATCH");
        http_parser_set_bodiless(&c->parser, http_slice_is(method, "HEAD"));
        http_out_add(&c->out, method.data, method.size);
        http_out_add(&c->out, " ", 1);
        http_out_add(&c->out, target.data, target.size);
        http_out_add(&c->out, " HTTP/1.1\r\n", 11);
        return c->out.error;
}

static int add_header(struct http_conn *c, struct http_slice name, struct http_slice value)
{
        char *at = http_out_extend(&c->out, name.size + value.size + 4);

        if (!at)
                return c->out.error;
        memcpy(at, name.data, name.size);
        at += name.size;
        *at++ = ':';
        *at++ = ' ';
        if (value.size > 0)
                memcpy(at, value.data, value.size);
        memcpy(at + value.size, "\r\n", 2);
        return 0;
}

/* Headers that only http_conn_begin_body writes: a second one would frame the message twice. */
static bool name_is_ours(struct http_slice name)
{
        switch (name.size) {
        case sizeof("Connection") - 1:
                return http_slice_is_nocase(name, "Connection");
        case sizeof("Content-Length") - 1:
                return http_slice_is_nocase(name, "Content-Length");
        case sizeof("Transfer-Encoding") - 1:
                return http_slice_is_nocase(name, "Transfer-Encoding");
        default:
                return false;
        }
}

int http_conn_add_header_slice(struct http_conn *c, struct http_slice name, struct http_slice value)
{
        if (c->sending != SENDING_HEAD || name_is_ours(name) || !http_slice_is_token(name) || !http_slice_is_text(value))
                return -EINVAL;
        return add_header(c, name, value);
}

int http_conn_add_header(struct http_conn *c, const char *name, const char *value)
{
        return http_conn_add_header_slice(c, slice_of(name), slice_of(value));
}

int http_conn_add_headerf(struct http_conn *c, const char *name, const char *format, ...)
{
        _cleanup_free_ char *value = NULL;
        va_list args;

        va_start(args, format);
        int n = vasprintf(&value, format, args);
        va_end(args);
        if (n < 0) {
                value = NULL;
                return -ENOMEM;
        }
        return http_conn_add_header_slice(c, slice_of(name), (struct http_slice) { value, (size_t) n });
}

/* ---- framing ---------------------------------------------------------------------------------- */

static void add_content_length(struct http_conn *c, uint64_t length)
{
        char text[24];
        size_t at = sizeof(text);

        do
                text[--at] = (char) ('0' + length % 10);
        while ((length /= 10) > 0);
        (void) add_header(c, slice_of("Content-Length"), (struct http_slice) { text + at, sizeof(text) - at });
}

static void add_framing(struct http_conn *c, uint64_t length)
{
        bool is_response = c->role == HTTP_SERVER;

        switch (c->framing) {
        case HTTP_FRAMING_NONE:
                if (is_response ? !c->is_bodiless : c->needs_length)
                        add_content_length(c, 0);
                break;
        case HTTP_FRAMING_LENGTH:
                c->length_left = length;
                if (c->status != 204)
                        add_content_length(c, length);
                break;
        case HTTP_FRAMING_CHUNKED:
                if (is_response && c->peer_is_1_0 && !c->is_bodiless) {
                        c->is_close_delimited = true;
                        c->is_kept_alive = false;
                } else if (c->status != 204 && !(is_response && c->peer_is_1_0)) {
                        (void) add_header(c, slice_of("Transfer-Encoding"), slice_of("chunked"));
                }
                break;
        }
}

int http_conn_begin_body(struct http_conn *c, enum http_framing framing, uint64_t length)
{
        if (c->sending != SENDING_HEAD)
                return -EINVAL;
        c->framing = framing;
        add_framing(c, length);
        c->is_close_wanted = c->is_close_wanted || c->is_close_to_announce;
        if (!c->is_kept_alive || c->is_close_wanted)
                (void) add_header(c, slice_of("Connection"), slice_of("close"));
        else if (c->role == HTTP_SERVER && c->peer_is_1_0)
                (void) add_header(c, slice_of("Connection"), slice_of("keep-alive"));
        http_out_add(&c->out, "\r\n", 2);
        c->sending = SENDING_BODY;
        conn_schedule(c);
        return c->out.error;
}

/* ---- body ------------------------------------------------------------------------------------- */

/* 1: send it, 0: it is not to be sent, negative: it may not. */
static int body_begin(struct http_conn *c, size_t size)
{
        if (c->phase != CONN_OPEN || c->out.error < 0)
                return -EPIPE;
        if (c->sending != SENDING_BODY)
                return -EINVAL;
        if (c->is_bodiless || size == 0)
                return 0;
        if (c->framing == HTTP_FRAMING_NONE || (c->framing == HTTP_FRAMING_LENGTH && size > c->length_left))
                return -EMSGSIZE;
        if (c->framing == HTTP_FRAMING_LENGTH)
                c->length_left -= size;
        return 1;
}

static bool body_is_chunked(const struct http_conn *c)
{
        return c->framing == HTTP_FRAMING_CHUNKED && !c->is_close_delimited && !c->is_bodiless;
}

static void chunk_begin(struct http_conn *c, size_t size)
{
        char text[2 * sizeof(size) + 2];
        size_t at = sizeof(text);

        text[--at] = '\n';
        text[--at] = '\r';
        do
                text[--at] = "0123456789abcdef"[size % 16];
        while ((size /= 16) > 0);
        http_out_add(&c->out, text + at, sizeof(text) - at);
}

static int body_sent(struct http_conn *c)
{
        if (http_out_size(&c->out) > c->limits->out_bytes_high)
                c->was_full = true;
        conn_schedule(c);
        return c->out.error;
}

int http_conn_send(struct http_conn *c, const void *data, size_t size)
{
        int r = body_begin(c, size);

        if (r <= 0)
                return r;
        if (body_is_chunked(c))
                chunk_begin(c, size);
        struct http_slice tail = { "\r\n", body_is_chunked(c) ? 2 : 0 };

        if (size >= LARGE_BYTES && !c->is_writing) {
                http_out_add_large(&c->out, c->fd, (struct http_slice) { data, size }, tail);
        } else {
                http_out_add(&c->out, data, size);
                http_out_add(&c->out, tail.data, tail.size);
        }
        return body_sent(c);
}

int http_conn_send_buffer(struct http_conn *c, struct evbuffer *buffer)
{
        size_t size = evbuffer_get_length(buffer);
        int r = body_begin(c, size);

        if (r <= 0) {
                if (r == 0)
                        evbuffer_drain(buffer, size);
                return r;
        }
        if (body_is_chunked(c))
                chunk_begin(c, size);
        http_out_add_buffer(&c->out, buffer);
        if (body_is_chunked(c))
                http_out_add(&c->out, "\r\n", 2);
        return body_sent(c);
}

/* ---- end -------------------------------------------------------------------------------------- */

/* The answer is complete, the request is not: is the rest worth reading to keep the connection? */
static void swallow_or_finish(struct http_conn *c)
{
        if (c->receiving != RECEIVING_BODY && !c->is_refused)
                return;
        if (!c->is_kept_alive || c->is_close_wanted || c->is_refused)
                return conn_finish(c);
        c->is_swallowing = true;
        c->discarded_bytes = 0;
        c->end_usec = usec_add(now_usec(), SWALLOW_USEC);
        c->is_paused = false;
        conn_timer_start(c);
        conn_schedule(c);
}

int http_conn_end(struct http_conn *c)
{
        if (c->sending == SENDING_HEAD)
                (void) http_conn_begin_body(c, HTTP_FRAMING_NONE, 0);
        if (c->sending != SENDING_BODY)
                return -EINVAL;
        if (c->phase != CONN_OPEN)
                return -EPIPE;
        if (c->framing == HTTP_FRAMING_LENGTH && c->length_left > 0 && !c->is_bodiless) {
                http_conn_abort(c);
                return -EMSGSIZE;
        }
        if (body_is_chunked(c))
                http_out_add(&c->out, "0\r\n\r\n", 5);
        c->sending = SENDING_DONE;
        conn_flush(c);
        if (c->phase != CONN_OPEN)
                return -EPIPE;
        if (c->role == HTTP_SERVER)
                swallow_or_finish(c);
        conn_settle(c);
        return 0;
}

int http_conn_respond(struct http_conn *c, unsigned status, const char *content_type, const void *body, size_t size)
{
        int r = c->sending == SENDING_HEAD ? 0 : http_conn_start_response(c, status);

        if (r >= 0 && content_type)
                r = http_conn_add_header(c, "Content-Type", content_type);
        if (r >= 0)
                r = http_conn_begin_body(c, size > 0 ? HTTP_FRAMING_LENGTH : HTTP_FRAMING_NONE, size);
        if (r >= 0 && size > 0)
                r = http_conn_send(c, body, size);
        return r < 0 ? r : http_conn_end(c);
}

void conn_send_continue(struct http_conn *c)
{
        c->owes_continue = false;
        if (c->receiving != RECEIVING_BODY || c->sending != SENDING_NOTHING || c->in.begin < c->in.end)
                return; /* it has been answered, or did not wait */
        http_out_add(&c->out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        conn_schedule(c);
}

/* ---- asking ----------------------------------------------------------------------------------- */

bool http_conn_is_responding(const struct http_conn *c)
{
        return c->role == HTTP_SERVER && c->sending != SENDING_NOTHING;
}

bool http_conn_is_full(const struct http_conn *c)
{
        return http_out_size(&c->out) > c->limits->out_bytes_high;
}

size_t http_conn_pending_bytes(const struct http_conn *c)
{
        return http_out_size(&c->out);
}

bool http_conn_is_untouched(const struct http_conn *c)
{
        return c->out.written_bytes == 0;
}
