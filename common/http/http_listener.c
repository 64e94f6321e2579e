#include "common/http/http.h"

#include "common/fd.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Connections taken before other sockets get their turn; routers share one queue. */
#define ACCEPTS_PER_TURN 16

/* No descriptor or memory for another connection: trying again at once would spin. */
#define RETRY_USEC (100 * USEC_PER_MSEC)

struct http_listener {
        int fd;
        bool keeps_fd;
        bool is_paused;
        struct event *accept_event, *retry_event;
        bool *freed; /* set by http_listener_free while on_accept runs */
        void (*on_accept)(struct http_listener *listener, int fd, void *userdata);
        void *userdata;
};

static bool error_is_of_one_connection(int error)
{
        switch (error) {
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
        case EPERM:
        case ENETDOWN:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case EOPNOTSUPP:
        case ENETUNREACH:
                return true;
        default:
                return false;
        }
}

static void on_acceptable(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct http_listener *l = userdata;
        bool freed = false;

        l->freed = &freed;
        for (unsigned i = 0; i < ACCEPTS_PER_TURN && !l->is_paused; i++) {
                int accepted = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (accepted >= 0) {
                        l->on_accept(l, accepted, l->userdata);
                        if (freed)
                                return;
                        continue;
                }
                if (error_is_of_one_connection(errno))
                        continue;
                if (errno != EAGAIN) {
                        struct timeval tv = usec_to_timeval(RETRY_USEC);

                        event_del(l->accept_event);
                        event_add(l->retry_event, &tv);
                }
                break;
        }
        l->freed = NULL;
}

static void on_retry(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct http_listener *l = userdata;

        if (!l->is_paused)
                event_add(l->accept_event, NULL);
}

int http_listener_new(struct event_base *base, int fd, bool keep_fd,
                      void (*on_accept)(struct http_listener *listener, int fd, void *userdata), void *userdata,
                      struct http_listener **ret)
{
        _cleanup_(http_listener_freep) struct http_listener *l = malloc(sizeof(*l));
        static const int on = 1;

        if (!l)
                return -ENOMEM;
        *l = (struct http_listener) {
                .fd = fd,
                .keeps_fd = true, /* the caller's until success */
                .on_accept = on_accept,
                .userdata = userdata,
        };
        int r = fd_nonblock(fd, true);

        if (r < 0)
                return r;
        /* Accepted connections inherit it. Not a TCP socket: nothing to set. */
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        l->accept_event = event_new(base, fd, EV_READ | EV_PERSIST, on_acceptable, l);
        l->retry_event = event_new(base, -1, 0, on_retry, l);
        if (!l->accept_event || !l->retry_event || event_add(l->accept_event, NULL) < 0)
                return -ENOMEM;
        l->keeps_fd = keep_fd;
        *ret = TAKE_PTR(l);
        return 0;
}

struct http_listener *http_listener_free(struct http_listener *l)
{
        if (!l)
                return NULL;
        if (l->freed)
                *l->freed = true;
        if (l->accept_event)
                event_free(l->accept_event);
        if (l->retry_event)
                event_free(l->retry_event);
        if (!l->keeps_fd)
                fd_close(l->fd);
        free(l);
        return NULL;
}

void http_listener_pause(struct http_listener *l)
{
        l->is_paused = true;
        event_del(l->accept_event);
}

void http_listener_resume(struct http_listener *l)
{
        if (!l->is_paused)
                return;
        l->is_paused = false;
        if (!event_pending(l->retry_event, EV_TIMEOUT, NULL))
                event_add(l->accept_event, NULL);
}
