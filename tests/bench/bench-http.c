/* What the HTTP engine costs a proxied request: keep-alive clients → a minimal router over TCP → an
 * echo on a Unix socket, each a process of one thread, all three made of the engine.
 *
 *     bench-http [CONNECTIONS [SECONDS [BODY-BYTES]]]
 *
 * Prints requests per second and what the router spends on each request; then the same for a relay
 * that copies bytes without looking at them: the system calls and the loop, the floor below any proxy. */
#include "common/fd.h"
#include "common/http/http.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define POOL_MAX 1024

static const struct http_limits limits = {
        .head_bytes_max = 32 * 1024,
        .headers_max = 100,
        .out_bytes_high = 256 * 1024,
        .out_bytes_low = 64 * 1024,
        .idle_usec = 60 * USEC_PER_SEC,
        .head_usec = 10 * USEC_PER_SEC,
        .write_usec = 60 * USEC_PER_SEC,
};

struct bench {
        struct event_base *base;
        const char *path;           /* of the echo's socket */
        struct http_conn *pool[POOL_MAX];
        size_t n_pool;
        uint16_t port;
        char *body;
        size_t body_size;
        uint64_t n_answers;
};

/* -EPIPE: the other side was told to end first. */
static void check(int r, const char *what)
{
        if (r < 0 && r != -EPIPE)
                errx(EXIT_FAILURE, "%s: %s", what, strerror(-r));
}

static void ignore_body(_unused_ struct http_conn *conn, _unused_ const void *data, _unused_ size_t size,
                        _unused_ void *userdata)
{
}

static void free_on_close(struct http_conn *conn, _unused_ int error, _unused_ void *userdata)
{
        http_conn_free(conn);
}

/* ---- echo ------------------------------------------------------------------------------------- */

static void echo_head(struct http_conn *conn, const struct http_head *head, _unused_ void *userdata)
{
        check(http_conn_start_response(conn, 200), "start_response");
        check(http_conn_add_header(conn, "Content-Type", "application/json"), "add_header");
        check(http_conn_begin_body(conn, HTTP_FRAMING_LENGTH, head->content_length), "begin_body");
}

static void echo_body(struct http_conn *conn, const void *data, size_t size, _unused_ void *userdata)
{
        check(http_conn_send(conn, data, size), "send");
}

static void echo_end(struct http_conn *conn, _unused_ void *userdata)
{
        check(http_conn_end(conn), "end");
}

static const struct http_conn_ops echo_ops = {
        .on_head = echo_head, .on_body = echo_body, .on_end = echo_end, .on_close = free_on_close,
};

static void echo_accept(_unused_ struct http_listener *listener, int fd, void *userdata)
{
        struct bench *b = userdata;
        struct http_conn *conn;

        check(http_conn_new(b->base, fd, HTTP_SERVER, &limits, &echo_ops, b, &conn), "http_conn_new");
}

/* ---- router ----------------------------------------------------------------------------------- */

struct route {
        struct bench *bench;
        struct http_conn *client, *upstream;
};

static void copy_headers(struct http_conn *to, const struct http_head *head)
{
        for (size_t i = 0; i < head->n_headers; i++)
                if (!http_head_is_hop_by_hop(head, &head->headers[i]))
                        check(http_conn_add_header_slice(to, head->headers[i].name, head->headers[i].value), "add_header");
}

static void begin_body(struct http_conn *to, const struct http_head *head)
{
        enum http_framing framing = !head->has_body              ? HTTP_FRAMING_NONE
                                    : head->has_content_length ? HTTP_FRAMING_LENGTH
                                                               : HTTP_FRAMING_CHUNKED;

        check(http_conn_begin_body(to, framing, head->content_length), "begin_body");
}

static void upstream_head(_unused_ struct http_conn *conn, const struct http_head *head, void *userdata)
{
        struct route *route = userdata;

        check(http_conn_start_response(route->client, head->status), "start_response");
        copy_headers(route->client, head);
        begin_body(route->client, head);
}

static void upstream_body(_unused_ struct http_conn *conn, const void *data, size_t size, void *userdata)
{
        struct route *route = userdata;

        check(http_conn_send(route->client, data, size), "send");
}

static void upstream_end(struct http_conn *conn, void *userdata)
{
        struct route *route = userdata;
        struct bench *b = route->bench;

        route->upstream = NULL;
        if (http_conn_is_idle(conn) && b->n_pool < POOL_MAX)
                b->pool[b->n_pool++] = conn;
        else
                http_conn_free(conn);
        check(http_conn_end(route->client), "end");
}

static void upstream_close(_unused_ struct http_conn *conn, int error, _unused_ void *userdata)
{
        errx(EXIT_FAILURE, "an upstream connection closed: %s", strerror(-error));
}

static const struct http_conn_ops upstream_ops = {
        .on_head = upstream_head, .on_body = upstream_body, .on_end = upstream_end, .on_close = upstream_close,
};

static void route_upstream(struct route *route)
{
        struct bench *b = route->bench;

        if (b->n_pool > 0) {
                route->upstream = b->pool[--b->n_pool];
                http_conn_set_userdata(route->upstream, route);
                return;
        }
        int fd = http_connect_unix(b->path);

        check(fd, b->path);
        check(http_conn_new(b->base, fd, HTTP_CLIENT, &limits, &upstream_ops, route, &route->upstream), "http_conn_new");
}

static void client_head(_unused_ struct http_conn *conn, const struct http_head *head, void *userdata)
{
        struct route *route = userdata;

        route_upstream(route);
        check(http_conn_start_request(route->upstream, head->method_name, head->target), "start_request");
        copy_headers(route->upstream, head);
        begin_body(route->upstream, head);
}

static void client_body(_unused_ struct http_conn *conn, const void *data, size_t size, void *userdata)
{
        struct route *route = userdata;

        check(http_conn_send(route->upstream, data, size), "send");
}

static void client_end(_unused_ struct http_conn *conn, void *userdata)
{
        struct route *route = userdata;

        check(http_conn_end(route->upstream), "end");
}

static void client_close(struct http_conn *conn, _unused_ int error, void *userdata)
{
        struct route *route = userdata;

        http_conn_free(conn);
        http_conn_free(route->upstream);
        free(route);
}

static const struct http_conn_ops client_ops = {
        .on_head = client_head, .on_body = client_body, .on_end = client_end, .on_close = client_close,
};

static void router_accept(_unused_ struct http_listener *listener, int fd, void *userdata)
{
        struct bench *b = userdata;
        struct route *route = calloc(1, sizeof(*route));

        check(route ? 0 : -ENOMEM, "calloc");
        route->bench = b;
        check(http_conn_new(b->base, fd, HTTP_SERVER, &limits, &client_ops, route, &route->client), "http_conn_new");
}

/* ---- relay ------------------------------------------------------------------------------------ */

static void on_relay(evutil_socket_t from, _unused_ short what, void *userdata)
{
        static char bytes[64 * 1024];
        int to = (int) (intptr_t) userdata;
        ssize_t n = recv(from, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (n > 0 && send(to, bytes, (size_t) n, MSG_DONTWAIT | MSG_NOSIGNAL) != n && errno != EPIPE)
                errx(EXIT_FAILURE, "the relay holds no bytes back");
}

static void relay_add(struct bench *b, int from, int to)
{
        struct event *event = event_new(b->base, from, EV_READ | EV_PERSIST, on_relay, (void *) (intptr_t) to);

        check(event && event_add(event, NULL) == 0 ? 0 : -ENOMEM, "event_new");
}

static void relay_accept(_unused_ struct http_listener *listener, int fd, void *userdata)
{
        struct bench *b = userdata;
        int upstream = http_connect_unix(b->path);

        check(upstream, b->path);
        relay_add(b, fd, upstream);
        relay_add(b, upstream, fd);
}

/* ---- load ------------------------------------------------------------------------------------- */

static void ask(struct bench *b, struct http_conn *conn)
{
        static const char *const headers[][2] = {
                { "Host", "127.0.0.1:8700" },
                { "Accept", "application/json, text/event-stream" },
                { "Accept-Encoding", "gzip, deflate" },
                { "User-Agent", "python-httpx/0.28.1" },
                { "Content-Type", "application/json" },
                { "Mcp-Session-Id", "0123456789abcdef0123456789abcdef" },
                { "Mcp-Protocol-Version", "2025-06-18" },
        };

        check(http_conn_start_request(conn, (struct http_slice) { "POST", 4 }, (struct http_slice) { "/lake/mcp", 9 }),
              "start_request");
        for (size_t i = 0; i < ELEMENTSOF(headers); i++)
                check(http_conn_add_header(conn, headers[i][0], headers[i][1]), "add_header");
        check(http_conn_begin_body(conn, HTTP_FRAMING_LENGTH, b->body_size), "begin_body");
        check(http_conn_send(conn, b->body, b->body_size), "send");
        check(http_conn_end(conn), "end");
}

static void load_head(_unused_ struct http_conn *conn, const struct http_head *head, _unused_ void *userdata)
{
        if (head->status != 200)
                errx(EXIT_FAILURE, "status %u", head->status);
}

static void load_end(struct http_conn *conn, void *userdata)
{
        struct bench *b = userdata;

        b->n_answers++;
        ask(b, conn);
}

static const struct http_conn_ops load_ops = {
        .on_head = load_head, .on_body = ignore_body, .on_end = load_end, .on_close = upstream_close,
};

static void run_load(struct bench *b, unsigned n_connections, unsigned seconds)
{
        struct timeval tv = { .tv_sec = seconds };

        for (unsigned i = 0; i < n_connections; i++) {
                struct http_conn *conn;
                int fd = http_connect_tcp("127.0.0.1", b->port);

                check(fd, "connect");
                check(http_conn_new(b->base, fd, HTTP_CLIENT, &limits, &load_ops, b, &conn), "http_conn_new");
                ask(b, conn);
        }
        event_base_loopexit(b->base, &tv);
        event_base_dispatch(b->base);
}

/* ---- processes -------------------------------------------------------------------------------- */

static void on_terminate(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        event_base_loopbreak(userdata);
}

static pid_t spawn(struct bench *b, int listening, void (*on_accept)(struct http_listener *, int, void *))
{
        struct http_listener *listener;
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        b->base = event_base_new();
        struct event *terminate = evsignal_new(b->base, SIGTERM, on_terminate, b->base);

        event_add(terminate, NULL);
        check(http_listener_new(b->base, listening, false, on_accept, b, &listener), "http_listener_new");
        event_base_dispatch(b->base);
        _exit(EXIT_SUCCESS);
}

struct cpu {
        double user_usec, total_usec;
};

static double usec_of(struct timeval tv)
{
        return (double) tv.tv_sec * 1e6 + (double) tv.tv_usec;
}

static struct cpu end_process(pid_t pid)
{
        struct rusage usage;
        int status;

        kill(pid, SIGTERM);
        if (wait4(pid, &status, 0, &usage) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
                errx(EXIT_FAILURE, "a process failed");
        return (struct cpu) { usec_of(usage.ru_utime), usec_of(usage.ru_utime) + usec_of(usage.ru_stime) };
}

static int listen_tcp(uint16_t *ret_port)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (bind(fd, (const struct sockaddr *) &address, size) < 0 || listen(fd, SOMAXCONN) < 0 ||
            getsockname(fd, (struct sockaddr *) &address, &size) < 0)
                err(EXIT_FAILURE, "listen");
        *ret_port = ntohs(address.sin_port);
        return fd;
}

static int listen_unix(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        check(STR_COPY(address.sun_path, path), path);
        if (bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0)
                err(EXIT_FAILURE, "%s", path);
        return fd;
}

static unsigned argument(int argc, char **argv, int i, unsigned otherwise)
{
        unsigned value = i < argc ? (unsigned) strtoul(argv[i], NULL, 10) : otherwise;

        if (value == 0)
                errx(EXIT_FAILURE, "%s: not a number above 0", argv[i]);
        return value;
}

static void measure(const char *name, struct bench b, void (*on_accept)(struct http_listener *, int, void *),
                    unsigned n_connections, unsigned seconds)
{
        int unix_fd = listen_unix(b.path), tcp_fd = listen_tcp(&b.port);
        pid_t echo = spawn(&b, unix_fd, echo_accept), router = spawn(&b, tcp_fd, on_accept);

        fd_close(unix_fd);
        fd_close(tcp_fd);
        b.base = event_base_new();
        run_load(&b, n_connections, seconds);
        struct cpu router_cpu = end_process(router);
        double n = (double) b.n_answers;

        (void) end_process(echo);
        unlink(b.path);
        printf("%s: %.0f requests/s, CPU %.2f µs for each, %.2f of them in user space\n", name, n / seconds,
               router_cpu.total_usec / n, router_cpu.user_usec / n);
}

int main(int argc, char **argv)
{
        unsigned n_connections = argument(argc, argv, 1, 64), seconds = argument(argc, argv, 2, 3);
        char folder[] = "/tmp/bench-http-XXXXXX", path[64];
        struct bench b = { .body_size = argument(argc, argv, 3, 150), .path = path };

        if (!mkdtemp(folder))
                err(EXIT_FAILURE, "mkdtemp");
        snprintf(path, sizeof(path), "%s/echo", folder);
        b.body = calloc(1, b.body_size);
        check(b.body ? 0 : -ENOMEM, "calloc");
        memset(b.body, 'x', b.body_size);
        measure("router", b, router_accept, n_connections, seconds);
        measure("relay ", b, relay_accept, n_connections, seconds);
        rmdir(folder);
        free(b.body);
        return EXIT_SUCCESS;
}
