#include "common/http/http_conn_private.h"

#include <poll.h>

/* Buffers of a connection without traffic are given back after this long at the latest. */
#define TICK_MAX_USEC (30 * USEC_PER_SEC)

static usec_t shortest_limit(const struct http_limits *limits)
{
        const usec_t all[] = { limits->idle_usec, limits->head_usec, limits->body_usec, limits->write_usec };
        usec_t shortest = TICK_MAX_USEC;

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                if (all[i] > 0)
                        shortest = MIN_OF(shortest, all[i]);
        return MAX_OF(shortest, USEC_PER_MSEC);
}

void conn_timer_within(struct http_conn *c, usec_t usec)
{
        struct timeval tv = usec_to_timeval(usec);

        c->is_timed = event_add(&c->timer, &tv) == 0;
}

void conn_timer_start(struct http_conn *c)
{
        if (!c->is_timed && c->phase < CONN_CLOSED)
                conn_timer_within(c, shortest_limit(c->limits));
}

void conn_on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct http_conn *c = userdata;

        c->is_timed = false;
        c->is_due = true;
        (void) conn_run(c);
}

/* ---- the deadlines: when, and what then -------------------------------------------------------- */

static bool conn_is_quiet(const struct http_conn *c)
{
        return http_conn_is_idle(c) && http_out_size(&c->out) == 0;
}

static usec_t limit_from(usec_t start, usec_t limit)
{
        return limit > 0 ? usec_add(start, limit) : USEC_INFINITY;
}

static usec_t idle_at(const struct http_conn *c)
{
        return c->role == HTTP_SERVER && conn_is_quiet(c) ? limit_from(c->idle_usec, c->limits->idle_usec)
                                                          : USEC_INFINITY;
}

static void idle_expired(struct http_conn *c)
{
        conn_fail(c, 0);
}

static usec_t head_at(const struct http_conn *c)
{
        return c->role == HTTP_SERVER && c->message_usec > 0 && !c->is_refused && !c->is_paused
                       ? limit_from(c->message_usec, c->limits->head_usec)
                       : USEC_INFINITY;
}

static void input_expired(struct http_conn *c)
{
        if (c->role == HTTP_SERVER)
                conn_refuse(c, 408, "the request took too long", -ETIMEDOUT);
        else
                conn_fail(c, -ETIMEDOUT);
}

static usec_t body_at(const struct http_conn *c)
{
        return c->receiving == RECEIVING_BODY && c->phase == CONN_OPEN && !c->is_refused && !c->is_paused
                       ? limit_from(c->input_usec, c->limits->body_usec)
                       : USEC_INFINITY;
}

static usec_t write_at(const struct http_conn *c)
{
        return c->is_writing ? limit_from(c->output_usec, c->limits->write_usec) : USEC_INFINITY;
}

static void write_expired(struct http_conn *c)
{
        conn_fail(c, -ETIMEDOUT);
}

static usec_t end_at(const struct http_conn *c)
{
        bool is_swallowing = c->phase == CONN_OPEN && c->is_swallowing;

        return is_swallowing || c->phase == CONN_LINGERING ? c->end_usec : USEC_INFINITY;
}

static void end_expired(struct http_conn *c)
{
        if (c->phase == CONN_LINGERING)
                conn_fail(c, 0);
        else
                conn_finish(c);
}

static const struct {
        usec_t (*at)(const struct http_conn *c);
        void (*expired)(struct http_conn *c);
} deadlines[] = {
        { idle_at, idle_expired },
        { head_at, input_expired },
        { body_at, input_expired },
        { write_at, write_expired },
        { end_at, end_expired },
};

/* The end of input that is not being read: epoll would have to report the bytes before it as well. */
static void conn_check_peer(struct http_conn *c)
{
        struct pollfd poller = { .fd = c->fd, .events = POLLRDHUP };

        if (poll(&poller, 1, 0) > 0 && (poller.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
                conn_fail(c, 0);
}

static bool conn_needs_peer_checks(const struct http_conn *c)
{
        return c->role == HTTP_SERVER && c->phase == CONN_OPEN && !c->is_reading && !c->in.eof;
}

static void conn_trim(struct http_conn *c)
{
        http_parser_trim(&c->parser);
        http_out_trim(&c->out);
}

void conn_expire(struct http_conn *c)
{
        usec_t next = USEC_INFINITY, now;
        bool *freed = c->freed;

        if (!c->is_due)
                return;
        c->is_due = false;
        now = now_usec();
        for (size_t i = 0; i < ELEMENTSOF(deadlines); i++) {
                usec_t at = deadlines[i].at(c);

                if (at <= now) {
                        deadlines[i].expired(c);
                        if (*freed || c->phase >= CONN_CLOSED)
                                return;
                        at = deadlines[i].at(c);
                }
                next = MIN_OF(next, at);
        }
        if (conn_needs_peer_checks(c)) {
                conn_check_peer(c);
                next = MIN_OF(next, usec_add(now, CONN_PEER_CHECK_USEC));
        }
        if (c->phase >= CONN_CLOSED)
                return;
        if (conn_is_quiet(c)) {
                conn_trim(c);
                if (next == USEC_INFINITY)
                        return; /* the next input starts the timer again */
        }
        next = next > now ? next - now : 0;
        conn_timer_within(c, MIN_OF(next, shortest_limit(c->limits)));
}
