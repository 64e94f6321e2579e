#include "common/http/http_conn_private.h"

#include <sys/socket.h>

/* Read at once, and kept at most while the owner pauses or an answer is not complete. */
#define INPUT_BYTES_MAX (64 * 1024)

/* An answer may end before its request: this much of the rest is read to save the connection. */
#define SWALLOW_BYTES_MAX (256 * 1024)
#define LINGER_BYTES_MAX (1024 * 1024)

/* ---- from the socket -------------------------------------------------------------------------- */

void conn_input_done(struct conn_input *in)
{
        if (!in->is_borrowed)
                free(in->data);
        in->data = NULL;
        in->begin = in->end = in->size = 0;
        in->is_borrowed = false;
}

/* Most input is parsed where it was read and forgotten: all connections take turns with the same,
 * warm memory of the stack, and idle ones hold none. */
static void input_borrow(struct conn_input *in, char *memory)
{
        conn_input_done(in);
        in->data = memory;
        in->size = INPUT_BYTES_MAX;
        in->is_borrowed = true;
}

/* Moves what was not parsed to memory of its own. */
static int input_keep(struct conn_input *in)
{
        size_t size = in->end - in->begin;
        char *kept = NULL;

        if (!in->is_borrowed)
                return 0;
        if (size > 0) {
                kept = malloc(size);
                if (kept)
                        memcpy(kept, in->data + in->begin, size);
                else
                        size = 0;
        }
        bool is_lost = in->begin + size < in->end;

        conn_input_done(in);
        in->data = kept;
        in->end = in->size = size;
        return is_lost ? -ENOMEM : 0;
}

/* Room behind what is kept. -ENOBUFS: it must be parsed first. */
static int input_reserve(struct conn_input *in)
{
        if (in->end < in->size)
                return 0;
        if (in->begin > 0) {
                memmove(in->data, in->data + in->begin, in->end - in->begin);
                in->end -= in->begin;
                in->begin = 0;
                return 0;
        }
        if (in->size >= INPUT_BYTES_MAX)
                return -ENOBUFS;
        size_t size = MIN_OF(MAX_OF(in->size * 2, (size_t) 4096), (size_t) INPUT_BYTES_MAX);
        char *bigger = realloc(in->data, size);

        if (!bigger)
                return -ENOMEM;
        in->data = bigger;
        in->size = size;
        return 0;
}

static void conn_fill(struct http_conn *c)
{
        struct conn_input *in = &c->in;
        int r = input_reserve(in);

        if (r == -ENOBUFS) {
                conn_read_stop(c); /* parsing starts it again */
                conn_timer_within(c, CONN_PEER_CHECK_USEC);
        }
        if (r == -ENOMEM)
                conn_fail(c, r);
        if (r < 0)
                return;
        ssize_t n = recv(c->fd, in->data + in->end, in->size - in->end, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                in->error = n < 0 ? -errno : 0;
                in->eof = true;
                conn_read_stop(c);
                return;
        }
        in->end += (size_t) n;
        c->input_usec = now_usec();
}

static void conn_discard(struct http_conn *c)
{
        conn_fill(c);
        c->discarded_bytes += c->in.end;
        c->in.begin = c->in.end = 0;
        if (c->in.eof || c->discarded_bytes > LINGER_BYTES_MAX)
                conn_fail(c, 0);
}

void conn_on_readable(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct http_conn *c = userdata;
        char memory[INPUT_BYTES_MAX];

        conn_timer_start(c);
        if (c->in.begin == c->in.end)
                input_borrow(&c->in, memory);
        if (c->phase == CONN_LINGERING)
                conn_discard(c);
        else
                conn_fill(c);
        if (conn_run(c) && input_keep(&c->in) < 0)
                conn_fail(c, -ENOMEM);
}

/* ---- events of the parser --------------------------------------------------------------------- */

static void on_head(struct http_conn *c)
{
        const struct http_head *head = &c->parser.head;
        bool *freed = c->freed;

        c->receiving = RECEIVING_BODY;
        c->message_usec = 0;
        c->is_kept_alive = c->is_kept_alive && head->keep_alive;
        if (c->role == HTTP_SERVER) {
                c->answers_head = head->method == HTTP_HEAD;
                c->peer_is_1_0 = head->minor_version == 0;
                c->owes_continue = head->expect_continue && head->has_body;
        }
        c->ops->on_head(c, head, c->userdata);
        if (!*freed && c->owes_continue && !c->is_paused)
                conn_send_continue(c);
}

static void on_body(struct http_conn *c)
{
        struct http_slice body = c->parser.body;

        c->owes_continue = false;
        if (!c->is_swallowing)
                return c->ops->on_body(c, body.data, body.size, c->userdata);
        c->discarded_bytes += body.size;
        if (c->discarded_bytes > SWALLOW_BYTES_MAX)
                conn_finish(c);
}

static void on_end(struct http_conn *c)
{
        bool is_told = !c->is_swallowing;

        c->receiving = RECEIVING_DONE;
        conn_settle(c);
        if (is_told)
                c->ops->on_end(c, c->userdata);
}

static void on_broken(struct http_conn *c)
{
        if (c->role == HTTP_SERVER)
                conn_refuse(c, c->parser.status, c->parser.why, -EPROTO);
        else
                conn_fail(c, c->parser.status == 413 ? -EFBIG : -EPROTO);
}

void conn_refuse(struct http_conn *c, unsigned status, const char *why, int error)
{
        bool *freed = c->freed;

        c->is_refused = true;
        c->is_kept_alive = false;
        conn_read_stop(c);
        if (c->sending == SENDING_DONE)
                return conn_finish(c);
        if (c->sending != SENDING_NOTHING) {
                c->resets_on_close = c->is_close_delimited;
                return conn_fail(c, error);
        }
        if (c->ops->on_error)
                c->ops->on_error(c, status, why, c->userdata);
        if (!*freed && c->phase == CONN_OPEN && c->sending == SENDING_NOTHING)
                (void) http_conn_respond(c, status, NULL, NULL, 0);
}

/* ---- parsing ---------------------------------------------------------------------------------- */

static bool conn_may_parse(const struct http_conn *c)
{
        if (c->phase != CONN_OPEN || c->is_paused || c->is_refused || c->receiving == RECEIVING_DONE)
                return false;
        return c->role == HTTP_SERVER || c->sending != SENDING_NOTHING;
}

static void conn_parse(struct http_conn *c)
{
        static void (*const handlers[])(struct http_conn *) = {
                [HTTP_PARSE_HEAD] = on_head,
                [HTTP_PARSE_BODY] = on_body,
                [HTTP_PARSE_END] = on_end,
                [HTTP_PARSE_BROKEN] = on_broken,
        };
        struct conn_input *in = &c->in;
        bool *freed = c->freed;

        while (conn_may_parse(c)) {
                size_t consumed;
                enum http_parse_event event =
                        http_parser_step(&c->parser, in->data ? in->data + in->begin : "", in->end - in->begin, &consumed);

                in->begin += consumed;
                if (event == HTTP_PARSE_MORE)
                        break;
                handlers[event](c);
                if (*freed)
                        return;
        }
        if (http_parser_is_in_head(&c->parser) && c->message_usec == 0)
                c->message_usec = c->input_usec;
}

/* The peer has said its last byte; everything before it was parsed unless the owner paused. */
static void conn_input_ended(struct http_conn *c)
{
        bool *freed = c->freed;

        if (c->role == HTTP_SERVER) {
                /* Nobody waits for an answer any more (RFC 9112 §9.5 lets us think so of a half-close). */
                if (c->sending == SENDING_DONE)
                        conn_finish(c);
                else
                        conn_fail(c, c->in.error);
                return;
        }
        if (c->is_paused)
                return;
        if (c->in.error < 0 || c->sending == SENDING_NOTHING || c->receiving == RECEIVING_DONE)
                return conn_fail(c, c->in.error);
        switch (http_parser_eof(&c->parser)) {
        case HTTP_PARSE_END:
                c->is_kept_alive = false;
                on_end(c);
                if (!*freed)
                        conn_fail(c, 0);
                break;
        case HTTP_PARSE_MORE:
                conn_fail(c, 0);
                break;
        default:
                conn_fail(c, -ECONNRESET);
                break;
        }
}

void conn_receive(struct http_conn *c)
{
        bool *freed = c->freed;

        conn_parse(c);
        if (*freed || c->phase != CONN_OPEN)
                return;
        if (c->role == HTTP_CLIENT && c->sending == SENDING_NOTHING && c->in.begin < c->in.end)
                return conn_fail(c, -EPROTO); /* an answer to nothing */
        if (c->in.eof)
                conn_input_ended(c);
        else if (!c->is_reading && !c->is_refused && c->in.end - c->in.begin < INPUT_BYTES_MAX)
                conn_read_start(c);
}
