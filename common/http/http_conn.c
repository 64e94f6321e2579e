#include "common/http/http_conn_private.h"

#include "common/fd.h"

#include <sys/socket.h>

/* How long a peer may go on sending after the last answer (RFC 9112 §9.6). */
#define LINGER_USEC (2 * USEC_PER_SEC)

struct http_limits http_limits_default(void)
{
        return (struct http_limits) {
                .head_bytes_max = 32 * 1024,
                .headers_max = 100,
                .out_bytes_high = 256 * 1024,
                .out_bytes_low = 64 * 1024,
        };
}

/* ---- life ------------------------------------------------------------------------------------- */

static void on_writable(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct http_conn *c = userdata;

        c->is_writable = true;
        (void) conn_run(c);
}

static void on_work(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct http_conn *c = userdata;

        c->is_scheduled = false;
        (void) conn_run(c);
}

int http_conn_new(struct event_base *base, int fd_consume, enum http_role role, const struct http_limits *limits,
                  const struct http_conn_ops *ops, void *userdata, struct http_conn **ret)
{
        _cleanup_fd_ int fd = fd_consume;
        _cleanup_(http_conn_freep) struct http_conn *c = malloc(sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (struct http_conn) {
                .base = base,
                .fd = -1,
                .role = role,
                .limits = limits,
                .ops = ops,
                .userdata = userdata,
                .is_kept_alive = true,
        };
        http_parser_init(&c->parser, role, limits);
        if (event_assign(&c->read_event, base, fd, EV_READ | EV_PERSIST, conn_on_readable, c) < 0 ||
            event_assign(&c->write_event, base, fd, EV_WRITE | EV_PERSIST, on_writable, c) < 0 ||
            event_assign(&c->timer, base, -1, 0, conn_on_timer, c) < 0 ||
            event_assign(&c->work, base, -1, 0, on_work, c) < 0)
                return -EINVAL;
        c->fd = TAKE_FD(fd);
        c->input_usec = c->idle_usec = now_usec();
        conn_read_start(c);
        if (!c->is_reading)
                return -ENOMEM;
        conn_timer_start(c);
        *ret = TAKE_PTR(c);
        return 0;
}

static void conn_events_stop(struct http_conn *c)
{
        conn_read_stop(c);
        if (c->is_writing)
                event_del(&c->write_event);
        if (c->is_timed)
                event_del(&c->timer);
        c->is_writing = c->is_timed = false;
}

/* A peer that cannot tell a broken message from a complete one gets a reset. */
static void conn_close_fd(struct http_conn *c)
{
        static const struct linger at_once = { .l_onoff = 1 };

        if (c->fd >= 0 && c->resets_on_close)
                (void) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        c->fd = fd_close(c->fd);
}

struct http_conn *http_conn_free(struct http_conn *c)
{
        if (!c)
                return NULL;
        if (c->freed)
                *c->freed = true;
        if (c->fd >= 0)
                conn_events_stop(c);
        if (c->is_scheduled)
                event_del(&c->work);
        conn_close_fd(c);
        http_parser_done(&c->parser);
        http_out_done(&c->out);
        conn_input_done(&c->in);
        free(c);
        return NULL;
}

void http_conn_set_userdata(struct http_conn *c, void *userdata)
{
        c->userdata = userdata;
}

void http_conn_set_ops(struct http_conn *c, const struct http_conn_ops *ops, void *userdata)
{
        c->ops = ops;
        c->userdata = userdata;
}

int http_conn_fd(const struct http_conn *c)
{
        return c->fd;
}

const struct http_head *http_conn_head(const struct http_conn *c)
{
        return &c->parser.head;
}

bool http_conn_is_idle(const struct http_conn *c)
{
        return c->phase == CONN_OPEN && c->receiving == RECEIVING_NOTHING && c->sending == SENDING_NOTHING &&
               !c->in.eof && c->in.begin == c->in.end && !http_parser_is_in_head(&c->parser);
}

/* ---- running ---------------------------------------------------------------------------------- */

void conn_schedule(struct http_conn *c)
{
        if (c->is_scheduled)
                return;
        c->is_scheduled = true;
        if (!c->freed)
                event_active(&c->work, EV_TIMEOUT, 0);
}

static void conn_drained(struct http_conn *c)
{
        if (!c->was_full || c->phase != CONN_OPEN || http_out_size(&c->out) > c->limits->out_bytes_low)
                return;
        c->was_full = false;
        if (c->ops->on_drained)
                c->ops->on_drained(c, c->userdata);
}

/* True when closing the socket now could make the kernel reset it before the peer has read all. */
static bool conn_has_unread_input(const struct http_conn *c)
{
        return c->role == HTTP_SERVER && !c->in.eof &&
               (c->is_refused || c->receiving == RECEIVING_BODY || c->in.begin < c->in.end);
}

static void conn_linger(struct http_conn *c)
{
        if (shutdown(c->fd, SHUT_WR) < 0)
                return conn_fail(c, 0);
        c->phase = CONN_LINGERING;
        c->discarded_bytes = 0;
        c->end_usec = usec_add(now_usec(), LINGER_USEC);
        conn_input_done(&c->in);
        conn_read_start(c);
        conn_timer_within(c, LINGER_USEC);
}

/* Last step of a run: the phases after CONN_OPEN. */
static void conn_conclude(struct http_conn *c)
{
        if (c->phase == CONN_FLUSHING && http_out_size(&c->out) == 0) {
                if (conn_has_unread_input(c) && !c->resets_on_close)
                        conn_linger(c);
                else
                        conn_fail(c, 0);
        }
        if (c->phase == CONN_CLOSED) {
                c->phase = CONN_OVER;
                c->ops->on_close(c, c->close_error, c->userdata);
        }
}

bool conn_run(struct http_conn *c)
{
        static void (*const steps[])(struct http_conn *) = {
                conn_expire, conn_receive, conn_flush, conn_drained, conn_conclude,
        };
        bool freed = false;

        c->freed = &freed;
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                steps[i](c);
                if (freed)
                        return false;
        }
        c->freed = NULL;
        if (c->is_scheduled)
                event_active(&c->work, EV_TIMEOUT, 0);
        return true;
}

void conn_read_start(struct http_conn *c)
{
        if (!c->is_reading && !c->in.eof)
                c->is_reading = event_add(&c->read_event, NULL) == 0;
}

void conn_read_stop(struct http_conn *c)
{
        if (c->is_reading)
                event_del(&c->read_event);
        c->is_reading = false;
}

/* A client's request that is not wanted any more may still be answered: what the peer said before
 * it closed is read first, and its EOF ends the connection. */
static bool conn_may_still_be_answered(const struct http_conn *c, int error)
{
        return c->role == HTTP_CLIENT && (error == -EPIPE || error == -ECONNRESET) && c->phase == CONN_OPEN;
}

static void conn_write_start(struct http_conn *c)
{
        if (c->is_writing)
                return;
        c->is_writing = event_add(&c->write_event, NULL) == 0;
        c->output_usec = now_usec();
        conn_timer_start(c);
}

static void conn_write_stop(struct http_conn *c)
{
        if (c->is_writing)
                event_del(&c->write_event);
        c->is_writing = false;
}

void conn_flush(struct http_conn *c)
{
        if (c->phase > CONN_FLUSHING || c->sending == SENDING_HEAD)
                return;
        if (c->is_writable)
                c->output_usec = now_usec();
        if (c->is_writable || !c->is_writing)
                http_out_flush(&c->out, c->fd);
        c->is_writable = false;
        if (c->out.error < 0) {
                conn_write_stop(c);
                c->is_kept_alive = false;
                if (!conn_may_still_be_answered(c, c->out.error))
                        conn_fail(c, c->out.error);
        } else if (c->out.queue_bytes > 0) {
                conn_write_start(c);
        } else {
                conn_write_stop(c);
        }
}

/* ---- ends ------------------------------------------------------------------------------------- */

void conn_fail(struct http_conn *c, int error)
{
        if (c->phase >= CONN_CLOSED)
                return;
        c->close_error = c->phase == CONN_LINGERING ? 0 : error; /* by then all was said */
        c->phase = CONN_CLOSED;
        conn_events_stop(c);
        http_out_clear(&c->out);
        conn_schedule(c);
}

void conn_finish(struct http_conn *c)
{
        if (c->phase != CONN_OPEN)
                return;
        c->phase = CONN_FLUSHING;
        conn_read_stop(c);
        conn_schedule(c);
}

void conn_settle(struct http_conn *c)
{
        if (c->receiving != RECEIVING_DONE || c->sending != SENDING_DONE)
                return;
        c->receiving = RECEIVING_NOTHING;
        c->sending = SENDING_NOTHING;
        c->is_swallowing = c->is_paused = c->owes_continue = c->answers_head = false;
        http_parser_next(&c->parser);
        c->message_usec = 0;
        c->idle_usec = now_usec();
        if (!c->is_kept_alive || c->is_close_wanted)
                conn_finish(c);
        else if (c->in.begin < c->in.end || c->in.eof)
                conn_schedule(c);
}

void http_conn_set_close(struct http_conn *c)
{
        c->is_close_wanted = true;
        if (http_conn_is_idle(c))
                conn_finish(c);
}

void http_conn_announce_close(struct http_conn *c)
{
        c->is_close_to_announce = true;
}

void http_conn_abort(struct http_conn *c)
{
        if (c->is_close_delimited && c->sending == SENDING_BODY)
                c->resets_on_close = true;
        c->sending = SENDING_DONE;
        conn_finish(c);
}

/* ---- input, from outside ---------------------------------------------------------------------- */

void http_conn_pause(struct http_conn *c)
{
        c->is_paused = true;
}

void http_conn_resume(struct http_conn *c)
{
        if (!c->is_paused || c->phase != CONN_OPEN)
                return;
        c->is_paused = false;
        c->input_usec = now_usec();
        if (c->owes_continue)
                conn_send_continue(c);
        conn_schedule(c);
}
