/* A connection survives any order of what its peer, its owner and the owner's callbacks do. Input: the
 * role, what callbacks do, then a program of one-byte instructions, some followed by bytes. */
#include "common/fd.h"
#include "common/http/http.h"
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>

#define STEPS_MAX 512
#define BODY_BYTES (40 * 1024)

struct owner {
        struct event_base *base;
        struct http_conn *conn; /* NULL once freed */
        int peer;
        enum http_role role;
        const uint8_t *program;
        size_t size;
        uint8_t reactions[5];   /* instructions carried out inside of callbacks */
        bool is_over;
};

static const char body[BODY_BYTES];

static uint8_t next_byte(struct owner *o)
{
        if (o->size == 0)
                return 0;
        o->size--;
        return *o->program++;
}

/* ---- instructions ----------------------------------------------------------------------------- */

static void start(struct owner *o)
{
        if (o->role == HTTP_SERVER)
                (void) http_conn_start_response(o->conn, 200);
        else
                (void) http_conn_start_request(o->conn, (struct http_slice) { "POST", 4 }, (struct http_slice) { "/", 1 });
}

static void start_head(struct owner *o)
{
        (void) http_conn_start_request(o->conn, (struct http_slice) { "HEAD", 4 }, (struct http_slice) { "/", 1 });
}

static void add_header(struct owner *o)
{
        (void) http_conn_add_header(o->conn, "X", "y");
}

static void begin_chunked(struct owner *o)
{
        (void) http_conn_begin_body(o->conn, HTTP_FRAMING_CHUNKED, 0);
}

static void begin_length(struct owner *o)
{
        (void) http_conn_begin_body(o->conn, HTTP_FRAMING_LENGTH, 10);
}

static void send_small(struct owner *o)
{
        (void) http_conn_send(o->conn, body, 10);
}

static void send_large(struct owner *o)
{
        if (!http_conn_is_full(o->conn))
                (void) http_conn_send(o->conn, body, sizeof(body));
}

static void send_buffer(struct owner *o)
{
        struct evbuffer *buffer = evbuffer_new();

        evbuffer_add(buffer, body, sizeof(body));
        if (!http_conn_is_full(o->conn))
                (void) http_conn_send_buffer(o->conn, buffer);
        evbuffer_free(buffer);
}

static void end(struct owner *o)
{
        (void) http_conn_end(o->conn);
}

static void respond(struct owner *o)
{
        (void) http_conn_respond(o->conn, 404, "text/plain", "no", 2);
}

static void pause_input(struct owner *o)
{
        http_conn_pause(o->conn);
}

static void resume_input(struct owner *o)
{
        http_conn_resume(o->conn);
}

static void set_close(struct owner *o)
{
        http_conn_set_close(o->conn);
}

static void abort_message(struct owner *o)
{
        http_conn_abort(o->conn);
}

static void free_conn(struct owner *o)
{
        o->conn = http_conn_free(o->conn);
}

static void nothing(_unused_ struct owner *o)
{
}

/* What the owner may do, inside of a callback or between. */
static void (*const acts[])(struct owner *) = {
        nothing, start, start_head, add_header, begin_chunked, begin_length, send_small, send_large, send_buffer,
        end, respond, pause_input, resume_input, set_close, abort_message, free_conn,
};

static void peer_write(struct owner *o)
{
        size_t n = next_byte(o);

        n = MIN_OF(n, o->size);
        if (o->peer >= 0)
                (void) !send(o->peer, o->program, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        o->program += n;
        o->size -= n;
}

static void peer_write_much(struct owner *o)
{
        if (o->peer >= 0)
                (void) !send(o->peer, body, sizeof(body), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void peer_read(struct owner *o)
{
        char text[4 * BODY_BYTES];

        if (o->peer >= 0)
                (void) !read(o->peer, text, sizeof(text));
}

static void peer_half_close(struct owner *o)
{
        if (o->peer >= 0)
                (void) shutdown(o->peer, SHUT_WR);
}

static void peer_close(struct owner *o)
{
        o->peer = fd_close(o->peer);
}

static void loop(struct owner *o)
{
        (void) event_base_loop(o->base, EVLOOP_NONBLOCK);
}

/* What happens outside. */
static void (*const turns[])(struct owner *) = {
        loop, peer_write, loop, peer_write_much, loop, peer_read, peer_half_close, peer_close,
};

/* ---- callbacks -------------------------------------------------------------------------------- */

static void react(struct owner *o, unsigned callback)
{
        assert(!o->is_over && o->conn);
        acts[o->reactions[callback] % ELEMENTSOF(acts)](o);
        if (o->conn)
                acts[(o->reactions[callback] >> 4) % ELEMENTSOF(acts)](o);
}

static void on_head(_unused_ struct http_conn *conn, const struct http_head *head, void *userdata)
{
        assert(head->n_headers == 0 || head->headers[0].name.size > 0);
        react(userdata, 0);
}

static void on_body(_unused_ struct http_conn *conn, const void *data, size_t size, void *userdata)
{
        assert(data && size > 0);
        react(userdata, 1);
}

static void on_end(_unused_ struct http_conn *conn, void *userdata)
{
        react(userdata, 2);
}

static void on_drained(_unused_ struct http_conn *conn, void *userdata)
{
        react(userdata, 3);
}

static void on_error(_unused_ struct http_conn *conn, unsigned status, const char *why, void *userdata)
{
        assert(status >= 400 && why);
        react(userdata, 4);
}

static void on_close(_unused_ struct http_conn *conn, int error, void *userdata)
{
        struct owner *o = userdata;

        assert(!o->is_over && error <= 0);
        o->is_over = true; /* freed later, or never by the program: nothing may follow */
}

static const struct http_conn_ops ops = {
        .on_head = on_head, .on_body = on_body, .on_end = on_end,
        .on_drained = on_drained, .on_error = on_error, .on_close = on_close,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct http_limits limits = {
                .head_bytes_max = 512, .headers_max = 8, .body_bytes_max = 2 * BODY_BYTES,
                .out_bytes_high = 64 * 1024, .out_bytes_low = 16 * 1024,
        };
        struct owner o = { .peer = -1, .program = data, .size = size };
        int fds[2];

        o.role = next_byte(&o) % 2 ? HTTP_CLIENT : HTTP_SERVER;
        for (size_t i = 0; i < ELEMENTSOF(o.reactions); i++)
                o.reactions[i] = next_byte(&o);
        o.base = event_base_new();
        if (!o.base || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                abort();
        o.peer = fds[1];
        if (http_conn_new(o.base, fds[0], o.role, &limits, &ops, &o, &o.conn) < 0)
                abort();
        for (unsigned i = 0; i < STEPS_MAX && o.size > 0; i++) {
                uint8_t instruction = next_byte(&o);

                if (instruction % 2 == 0)
                        turns[instruction / 2 % ELEMENTSOF(turns)](&o);
                else if (o.conn)
                        acts[instruction / 2 % ELEMENTSOF(acts)](&o);
        }
        peer_close(&o);
        for (int i = 0; i < 4; i++)
                loop(&o);
        http_conn_free(o.conn);
        event_base_free(o.base);
        return 0;
}
