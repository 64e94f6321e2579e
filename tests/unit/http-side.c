#include "tests/unit/http-side.h"

#include "common/fd.h"

#include <stdio.h>
#include <sys/socket.h>

static void _printf_(2, 3) note(struct side *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        int n = vsnprintf(s->log + s->log_size, sizeof(s->log) - s->log_size, format, args);
        va_end(args);
        assert_in_range(n, 0, sizeof(s->log) - s->log_size - 1);
        s->log_size += (size_t) n;
}

static void react(struct side *s, void (*reaction)(struct side *))
{
        if (reaction)
                reaction(s);
}

static void on_head(struct http_conn *conn, const struct http_head *head, void *userdata)
{
        struct side *s = userdata;

        if (head->status > 0)
                note(s, "%u ", head->status);
        else
                note(s, "%.*s %.*s ", (int) head->method_name.size, head->method_name.data, (int) head->target.size,
                     head->target.data);
        assert_ptr_equal(http_conn_head(conn), head);
        react(s, s->at_head);
}

static void on_body(_unused_ struct http_conn *conn, const void *data, size_t size, void *userdata)
{
        struct side *s = userdata;

        s->body_bytes += size;
        if (size < 64)
                note(s, "%.*s", (int) size, (const char *) data);
        react(s, s->at_body);
}

static void on_end(_unused_ struct http_conn *conn, void *userdata)
{
        struct side *s = userdata;

        note(s, ".");
        react(s, s->at_end);
}

static void on_drained(_unused_ struct http_conn *conn, void *userdata)
{
        struct side *s = userdata;

        s->n_drained++;
        react(s, s->at_drained);
}

static void on_error(_unused_ struct http_conn *conn, unsigned status, const char *why, void *userdata)
{
        struct side *s = userdata;

        assert_non_null(why);
        note(s, "!%u", status);
        react(s, s->at_error);
}

static void on_close(_unused_ struct http_conn *conn, int error, void *userdata)
{
        struct side *s = userdata;

        assert_false(s->is_closed);
        s->is_closed = true;
        s->error = error;
        s->conn = http_conn_free(s->conn);
        event_base_loopbreak(s->base);
}

const struct http_conn_ops side_ops = {
        .on_head = on_head, .on_body = on_body, .on_end = on_end,
        .on_drained = on_drained, .on_error = on_error, .on_close = on_close,
};

static int side_setup(void **state, enum http_role role)
{
        struct side *s = calloc(1, sizeof(*s));
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        s->base = event_base_new();
        s->limits = http_limits_default();
        assert_int_equal(http_conn_new(s->base, fds[0], role, &s->limits, &side_ops, s, &s->conn), 0);
        s->peer = fds[1];
        *state = s;
        return 0;
}

int side_setup_server(void **state)
{
        return side_setup(state, HTTP_SERVER);
}

int side_setup_client(void **state)
{
        return side_setup(state, HTTP_CLIENT);
}

int side_teardown(void **state)
{
        struct side *s = *state;

        http_conn_free(s->conn);
        fd_close(s->peer);
        event_base_free(s->base);
        free(s);
        return 0;
}

void side_pump(struct side *s)
{
        for (int i = 0; i < 8; i++)
                event_base_loop(s->base, EVLOOP_NONBLOCK);
}

void side_pump_until_closed(struct side *s)
{
        while (!s->is_closed)
                assert_int_equal(event_base_loop(s->base, EVLOOP_ONCE), 0);
}

void peer_send(struct side *s, const char *text)
{
        assert_int_equal(send(s->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
        side_pump(s);
}

const char *peer_read(struct side *s)
{
        static char text[64 * 1024 + 1];
        ssize_t n = read(s->peer, text, sizeof(text) - 1);

        text[n > 0 ? n : 0] = '\0';
        return text;
}

bool peer_sees_eof(struct side *s)
{
        char byte;

        return read(s->peer, &byte, 1) == 0;
}

void peer_close(struct side *s)
{
        (void) peer_read(s);
        s->peer = fd_close(s->peer);
        side_pump(s);
}

void side_respond(struct side *s)
{
        assert_int_equal(http_conn_respond(s->conn, 200, "text/plain", "hi", 2), 0);
}

void side_free(struct side *s)
{
        s->conn = http_conn_free(s->conn);
}
