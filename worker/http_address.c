#include "worker/http_address.h"

#include "common/fd.h"
#include "worker/port_hold.h"
#include "worker/socket_owner.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#define POLL_FIRST_USEC (10 * USEC_PER_MSEC)
#define POLL_MAX_USEC (50 * USEC_PER_MSEC)

struct http_address {
        const struct http_address_ops *ops;
        void *userdata;
        struct port_hold hold;   /* fd -1: a Unix socket */
        char *socket_path;       /* NULL: TCP */
        char port_text[8];
        char host[32];
        bool is_ipv6;            /* it listens on ::1 alone */
        pid_t pid;
        struct event *timer;
        usec_t interval_usec;
};

/* Asks for nothing but the connection: 1 it listens, 0 not yet. */
static int socket_listens(const char *path)
{
        _cleanup_fd_ int fd = http_connect_unix(path);

        if (fd >= 0)
                return 1;
        return fd == -ENOENT || fd == -ECONNREFUSED || fd == -EAGAIN ? 0 : fd;
}

static void timer_arm(struct http_address *address)
{
        struct timeval wait = usec_to_timeval(address->interval_usec);

        event_add(address->timer, &wait);
        address->interval_usec = MIN_OF(address->interval_usec * 3 / 2, POLL_MAX_USEC);
}

static void on_look(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct http_address *address = userdata;
        char detail[128];
        int r = address->socket_path ? socket_listens(address->socket_path)
                                     : socket_check_port(address->hold.port, address->pid);

        if (r > 0) {
                address->ops->on_listening(address->userdata);
        } else if (r == -EADDRINUSE) {
                (void) snprintf(detail, sizeof(detail), "another process listens on port %s", address->port_text);
                address->ops->on_taken(detail, address->userdata);
        } else {
                timer_arm(address); /* also after an error: the start deadline ends the wait */
        }
}

static int address_make_port(struct worker *worker, struct http_address *address)
{
        int r = port_hold_init(&address->hold);

        if (r < 0)
                return r;
        (void) snprintf(address->port_text, sizeof(address->port_text), "%u", address->hold.port);
        (void) snprintf(address->host, sizeof(address->host), "127.0.0.1:%u", address->hold.port);
        worker->values[TEMPLATE_PORT] = address->port_text;
        return 0;
}

static int address_make_socket(struct worker *worker, struct http_address *address)
{
        if (!worker->spec->tmp)
                return -EINVAL;
        if (asprintf(&address->socket_path, "%s/http", worker->spec->tmp) < 0) {
                address->socket_path = NULL;
                return -ENOMEM;
        }
        if (strlen(address->socket_path) >= sizeof(((struct sockaddr_un *) NULL)->sun_path))
                return -ENAMETOOLONG;
        (void) STR_COPY(address->host, "localhost");
        worker->values[TEMPLATE_SOCKET] = address->socket_path;
        return 0;
}

int http_address_new(struct worker *worker, const struct http_address_ops *ops, void *userdata,
                     struct http_address **ret)
{
        struct http_address *address = calloc(1, sizeof(*address));

        if (!address)
                return -ENOMEM;
        address->ops = ops;
        address->userdata = userdata;
        address->hold.fd = -1;
        address->interval_usec = POLL_FIRST_USEC;
        address->timer = evtimer_new(worker->base, on_look, address);
        int r = !address->timer            ? -ENOMEM
                : worker->spec->uses_socket ? address_make_socket(worker, address)
                                            : address_make_port(worker, address);

        if (r < 0) {
                http_address_free(address);
                return r;
        }
        *ret = address;
        return 0;
}

struct http_address *http_address_free(struct http_address *address)
{
        if (!address)
                return NULL;
        if (address->timer)
                event_free(address->timer);
        port_hold_release(&address->hold);
        free(address->socket_path);
        free(address);
        return NULL;
}

void http_address_await(struct http_address *address, pid_t pid)
{
        address->pid = pid;
        timer_arm(address);
}

void http_address_stop(struct http_address *address)
{
        event_del(address->timer);
}

bool http_address_release(struct http_address *address)
{
        if (address->hold.fd < 0)
                return false;
        http_address_stop(address);
        address->interval_usec = POLL_FIRST_USEC;
        port_hold_release(&address->hold);
        return true;
}

/* A refused loopback connect is refused at once: then the backend listens on the other family. */
static int connect_tcp(struct http_address *address, bool is_ipv6)
{
        _cleanup_fd_ int fd = http_connect_tcp(is_ipv6 ? "::1" : "127.0.0.1", address->hold.port);

        if (fd < 0)
                return fd;
        struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
        int error = 0;
        socklen_t size = sizeof(error);

        if (poll(&pollfd, 1, 0) > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error)
                return -error;
        return TAKE_FD(fd);
}

int http_address_connect(struct http_address *address)
{
        if (address->socket_path)
                return http_connect_unix(address->socket_path);
        int fd = connect_tcp(address, address->is_ipv6);

        if (fd == -ECONNREFUSED) {
                int other = connect_tcp(address, !address->is_ipv6);

                if (other >= 0)
                        address->is_ipv6 = !address->is_ipv6;
                return other;
        }
        return fd;
}

const char *http_address_host(const struct http_address *address)
{
        return address->host;
}
