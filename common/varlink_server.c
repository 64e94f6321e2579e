#include "common/varlink_internal.h"

#include "common/fd.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#define LISTEN_BACKLOG 128
#define READ_SIZE (16 * 1024)
#define REFUSAL_SIZE 512
#define RESUME_USEC (100 * USEC_PER_MSEC)

int varlink_listen(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_fd_ int fd = -1;

        if (STR_COPY(address.sun_path, path) < 0)
                return -ENAMETOOLONG;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0 || errno == EAGAIN)
                return -EADDRINUSE;
        if (errno == ECONNREFUSED)
                (void) unlink(path);
        if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || chmod(path, 0666) < 0 ||
            listen(fd, LISTEN_BACKLOG) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* ---- connections ------------------------------------------------------------------------------- */

static void drop_event(struct event *event)
{
        if (event)
                event_free(event);
}

static struct varlink_conn *conn_free(struct varlink_conn *conn)
{
        if (conn->call)
                varlink_call_cancel(TAKE_PTR(conn->call));
        if (conn->server) {
                LIST_REMOVE(conn, entry);
                conn->server->n_conns--;
        }
        drop_event(conn->read_event);
        drop_event(conn->write_event);
        drop_event(conn->turn_event);
        drop_event(conn->message_event);
        if (conn->in)
                evbuffer_free(conn->in);
        if (conn->out)
                evbuffer_free(conn->out);
        fd_close(conn->fd);
        free(conn);
        return NULL;
}
DEFINE_CLEANUP(struct varlink_conn, conn_free)

void varlink_conn_wake(struct varlink_conn *conn)
{
        event_active(conn->turn_event, EV_TIMEOUT, 0);
}

/* Writes what the socket takes; the rest waits for the write event, whose timeout starts anew with
 * every progress. Without MSG_NOSIGNAL a client that left would kill the process. */
static void conn_flush(struct varlink_conn *conn)
{
        const struct timeval timeout = usec_to_timeval(conn->server->service->write_usec);

        while (!conn->is_dead && evbuffer_get_length(conn->out) > 0) {
                struct evbuffer_iovec pieces[8];
                int n_pieces = evbuffer_peek(conn->out, -1, NULL, pieces, ELEMENTSOF(pieces));
                struct msghdr message = {
                        .msg_iov = pieces,
                        .msg_iovlen = MIN_OF((size_t) n_pieces, ELEMENTSOF(pieces)),
                };
                ssize_t n = sendmsg(conn->fd, &message, MSG_NOSIGNAL);

                if (n >= 0) {
                        evbuffer_drain(conn->out, (size_t) n);
                } else if (errno == EAGAIN) {
                        event_add(conn->write_event, &timeout);
                        return;
                } else if (errno != EINTR) {
                        conn->is_dead = true;
                        varlink_conn_wake(conn);
                }
        }
        event_del(conn->write_event);
}

static int conn_queue(struct varlink_conn *conn, const char *head, const struct json_writer *parameters,
                      const char *tail, size_t bytes_max)
{
        const char *body = parameters && parameters->size > 0 ? parameters->data : "{}";
        size_t body_size = parameters && parameters->size > 0 ? parameters->size : 2;

        if (conn->is_dead)
                return -EPIPE;
        if (parameters && parameters->failed)
                return -ENOMEM;
        if (evbuffer_get_length(conn->out) + strlen(head) + body_size + strlen(tail) + 1 > bytes_max)
                return -ENOBUFS;
        if (evbuffer_add(conn->out, head, strlen(head)) < 0 || evbuffer_add(conn->out, body, body_size) < 0 ||
            evbuffer_add(conn->out, tail, strlen(tail) + 1) < 0)
                return -ENOMEM;
        conn_flush(conn);
        return conn->is_dead ? -EPIPE : 0;
}

int varlink_conn_send(struct varlink_conn *conn, const char *head, struct json_writer *parameters, const char *tail,
                      size_t bytes_max)
{
        int r = conn_queue(conn, head, parameters, tail, bytes_max);

        if (parameters)
                json_writer_done(parameters);
        if (r < 0 && r != -ENOBUFS) {
                conn->is_dead = true;
                varlink_conn_wake(conn);
        }
        return r;
}

/* {"error": "INTERFACE.ERROR", "parameters": {"why": why}}; both are ours and need no escaping. */
static int refusal_format(char *text, size_t size, const struct varlink_service *service, const char *error,
                          const char *why)
{
        return snprintf(text, size, "{\"error\":\"%s.%s\",\"parameters\":{\"why\":\"%s\"}}", service->interface, error,
                        why);
}

void varlink_conn_refuse(struct varlink_conn *conn, const char *error, const char *why)
{
        char text[REFUSAL_SIZE];

        if (conn->is_closing)
                return;
        conn->is_closing = true;
        refusal_format(text, sizeof(text), conn->server->service, error, why);
        evbuffer_add(conn->out, text, strlen(text) + 1);
        conn_flush(conn);
        varlink_conn_wake(conn);
}

/* Takes the next whole message out of the input. False: there is none yet. */
static bool conn_next_message(struct varlink_conn *conn, char **ret_text, size_t *ret_size)
{
        size_t bytes_max = conn->server->service->message_bytes_max;
        struct evbuffer_ptr from, at;
        char *text;

        evbuffer_ptr_set(conn->in, &from, conn->scanned, EVBUFFER_PTR_SET);
        at = evbuffer_search(conn->in, "", 1, &from);
        if (at.pos < 0)
                conn->scanned = evbuffer_get_length(conn->in);
        if (at.pos < 0 ? conn->scanned > bytes_max : (size_t) at.pos > bytes_max) {
                varlink_conn_refuse(conn, "BadMessage", "the message is too large");
                return false;
        }
        if (at.pos < 0)
                return false;
        text = malloc((size_t) at.pos + 1);
        if (!text) {
                conn->is_dead = true;
                return false;
        }
        evbuffer_remove(conn->in, text, (size_t) at.pos + 1);
        conn->scanned = 0;
        *ret_text = text;
        *ret_size = (size_t) at.pos;
        return true;
}

static bool conn_may_look(const struct varlink_conn *conn)
{
        return !conn->is_dead && !conn->is_closing && !conn->call &&
               evbuffer_get_length(conn->out) <= conn->server->service->stream_bytes_max;
}

/* Whether nothing can come of this connection any more. */
static bool conn_is_over(struct varlink_conn *conn)
{
        size_t waiting = evbuffer_get_length(conn->in);

        if (conn->is_dead)
                return true;
        if (conn->call)
                /* Nobody reads the stream, or somebody sends who should listen. */
                return conn->call->wants_more &&
                       (conn->is_eof || waiting > conn->server->service->message_bytes_max);
        return (conn->is_closing || (conn->is_eof && conn_may_look(conn))) && evbuffer_get_length(conn->out) == 0;
}

static void conn_watch_input(struct varlink_conn *conn)
{
        const struct timeval timeout = usec_to_timeval(conn->server->service->message_usec);
        size_t waiting = evbuffer_get_length(conn->in);

        if (conn->is_eof || conn->is_closing || waiting > conn->server->service->message_bytes_max)
                event_del(conn->read_event);
        else
                event_add(conn->read_event, NULL);
        if (waiting == 0 || conn->is_closing || !conn_may_look(conn))
                event_del(conn->message_event);
        else if (!event_pending(conn->message_event, EV_TIMEOUT, NULL))
                event_add(conn->message_event, &timeout);
}

/* Everything that may follow from bytes that came or left, or from a call that ended. The only place
 * that frees a connection while the server lives. */
static void conn_turn(struct varlink_conn *conn)
{
        char *text;
        size_t size;

        while (conn_may_look(conn) && conn_next_message(conn, &text, &size)) {
                event_del(conn->message_event);
                varlink_call_dispatch(conn, text, size);
                free(text);
        }
        if (conn->is_closing && conn->call)
                varlink_call_cancel(TAKE_PTR(conn->call));
        if (conn_is_over(conn))
                conn_free(conn);
        else
                conn_watch_input(conn);
}

static void on_turn(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        conn_turn(userdata);
}

static void on_readable(evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct varlink_conn *conn = userdata;
        int n = evbuffer_read(conn->in, fd, READ_SIZE);

        if (n == 0)
                conn->is_eof = true;
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
                conn->is_dead = true;
        conn_turn(conn);
}

static void on_writable(_unused_ evutil_socket_t fd, short what, void *userdata)
{
        struct varlink_conn *conn = userdata;

        if (what & EV_TIMEOUT)
                conn->is_dead = true;
        else
                conn_flush(conn);
        conn_turn(conn);
}

static void on_message_late(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct varlink_conn *conn = userdata;

        varlink_conn_refuse(conn, "BadMessage", "the message was not finished in time");
}

static int conn_new(struct varlink_server *server, int fd_consume, bool is_privileged)
{
        _cleanup_(conn_freep) struct varlink_conn *conn = calloc(1, sizeof(*conn));

        if (!conn) {
                fd_close(fd_consume);
                return -ENOMEM;
        }
        conn->fd = fd_consume;
        conn->is_privileged = is_privileged;
        conn->read_event = event_new(server->base, conn->fd, EV_READ | EV_PERSIST, on_readable, conn);
        conn->write_event = event_new(server->base, conn->fd, EV_WRITE | EV_PERSIST, on_writable, conn);
        conn->turn_event = event_new(server->base, -1, 0, on_turn, conn);
        conn->message_event = event_new(server->base, -1, 0, on_message_late, conn);
        conn->in = evbuffer_new();
        conn->out = evbuffer_new();
        if (!conn->read_event || !conn->write_event || !conn->turn_event || !conn->message_event || !conn->in ||
            !conn->out || event_add(conn->read_event, NULL) < 0)
                return -ENOMEM;
        conn->server = server;
        server->n_conns++;
        LIST_INSERT_HEAD(&server->conns, conn, entry);
        TAKE_PTR(conn);
        return 0;
}

/* ---- the listener ------------------------------------------------------------------------------ */

static bool peer_is_privileged(int fd)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return false;
        return peer.uid == 0 || peer.uid == geteuid();
}

/* One try, without waiting: the peer's buffer is empty, so it arrives. */
static void turn_away(const struct varlink_server *server, int fd_consume)
{
        _cleanup_fd_ int fd = fd_consume;
        char text[REFUSAL_SIZE];
        int n = refusal_format(text, sizeof(text), server->service, "TooManyClients", "too many clients are connected");

        (void) send(fd, text, (size_t) n + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_accept(_unused_ struct evconnlistener *listener, evutil_socket_t fd,
                      _unused_ struct sockaddr *address, _unused_ int address_size, void *userdata)
{
        struct varlink_server *server = userdata;
        const struct varlink_service *service = server->service;
        bool is_privileged = peer_is_privileged(fd);

        if (server->n_conns >= service->clients_max - (is_privileged ? 0 : service->clients_reserved))
                turn_away(server, fd);
        else
                (void) conn_new(server, fd, is_privileged);
}

/* Out of descriptors or memory: the connection stays in the backlog until there is room. */
static void on_accept_error(struct evconnlistener *listener, void *userdata)
{
        struct varlink_server *server = userdata;
        const struct timeval wait = usec_to_timeval(RESUME_USEC);

        evconnlistener_disable(listener);
        event_add(server->resume_event, &wait);
}

static void on_resume(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct varlink_server *server = userdata;

        evconnlistener_enable(server->listener);
}

int varlink_server_new(struct event_base *base, int listen_fd, bool keep_fd, const struct varlink_service *service,
                       void *userdata, struct varlink_server **ret)
{
        _cleanup_(varlink_server_freep) struct varlink_server *server = calloc(1, sizeof(*server));
        unsigned flags = LEV_OPT_CLOSE_ON_EXEC | (keep_fd ? 0 : LEV_OPT_CLOSE_ON_FREE);
        int r;

        if (!server)
                return -ENOMEM;
        *server = (struct varlink_server) { .base = base, .service = service, .userdata = userdata };
        r = fd_nonblock(listen_fd, true);
        if (r < 0)
                return r;
        server->resume_event = event_new(base, -1, 0, on_resume, server);
        if (!server->resume_event)
                return -ENOMEM;
        server->listener = evconnlistener_new(base, on_accept, server, flags, 0, listen_fd);
        if (!server->listener)
                return -ENOMEM;
        evconnlistener_set_error_cb(server->listener, on_accept_error);
        *ret = TAKE_PTR(server);
        return 0;
}

struct varlink_server *varlink_server_free(struct varlink_server *server)
{
        struct varlink_conn *conn;

        if (!server)
                return NULL;
        if (server->listener)
                evconnlistener_free(server->listener);
        drop_event(server->resume_event);
        while ((conn = LIST_FIRST(&server->conns)))
                conn_free(conn);
        free(server);
        return NULL;
}
