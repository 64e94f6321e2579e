#include "ctl/run.h"

#include "common/fd.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#define LISTEN_BACKLOG 4096

static int bad_address(const char *text)
{
        fprintf(stderr, "envmux run: --listen %s: give ADDRESS:PORT, such as 127.0.0.1:8700 or [::1]:8700\n", text);
        return -EINVAL;
}

/* "127.0.0.1:8700", "[::1]:8700", ":8700" (loopback). Numbers only: a name could mean several. */
static int parse_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_size)
{
        const char *colon = strrchr(text, ':');
        char host[64] = "127.0.0.1";
        struct addrinfo hints = {
                .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
        };
        struct addrinfo *found;
        size_t n;

        if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) || atol(colon + 1) > 65535)
                return bad_address(text);
        n = (size_t) (colon - text);
        if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
                text++;
                n -= 2;
        }
        if (n >= sizeof(host))
                return bad_address(text);
        if (n > 0) {
                memcpy(host, text, n);
                host[n] = '\0';
        }
        if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
                return bad_address(text);
        memcpy(ret, found->ai_addr, found->ai_addrlen);
        *ret_size = found->ai_addrlen;
        freeaddrinfo(found);
        return 0;
}

static int bind_failed(int error, const char *text)
{
        const char *advice = "";

        if (error == -EADDRINUSE)
                advice = "; another program has this port: stop it, or choose another with --listen 127.0.0.1:PORT";
        else if (error == -EADDRNOTAVAIL)
                advice = "; this machine has no such address";
        else if (error == -EACCES)
                advice = "; ports below 1024 need root";
        fprintf(stderr, "envmux run: cannot listen on %s: %s%s\n", text, strerror(-error), advice);
        return error;
}

static int listen_on(const char *text)
{
        struct sockaddr_storage address;
        socklen_t size;
        _cleanup_fd_ int fd = -1;
        int r = parse_address(text, &address, &size);

        if (r < 0)
                return r;
        fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return bind_failed(-errno, text);
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int) { 1 }, sizeof(int)) < 0)
                return bind_failed(-errno, text);
        if (address.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int) { 1 }, sizeof(int)) < 0)
                return bind_failed(-errno, text);
        if (bind(fd, (struct sockaddr *) &address, size) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
                return bind_failed(-errno, text);
        return TAKE_FD(fd);
}

int run_listeners_make(const char *text, struct run_listeners *ret)
{
        _cleanup_free_ char *copy = strdup(text);
        struct run_listeners listeners = { .n = 0 };
        char *rest = copy;

        if (!copy)
                return -ENOMEM;
        for (char *one; (one = strsep(&rest, ","));) {
                int fd = listeners.n < RUN_LISTENERS_MAX ? listen_on(one) : -E2BIG;

                if (fd == -E2BIG)
                        fprintf(stderr, "envmux run: --listen takes at most %d addresses\n", RUN_LISTENERS_MAX);
                if (fd < 0) {
                        run_listeners_done(&listeners);
                        return fd;
                }
                listeners.fds[listeners.n++] = fd;
        }
        *ret = listeners;
        return 0;
}

void run_listeners_done(struct run_listeners *listeners)
{
        for (size_t i = 0; i < listeners->n; i++)
                fd_close(listeners->fds[i]);
        listeners->n = 0;
}

static bool is_wildcard(const struct sockaddr_storage *address)
{
        if (address->ss_family == AF_INET6)
                return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *) address)->sin6_addr);
        return ((const struct sockaddr_in *) address)->sin_addr.s_addr == htonl(INADDR_ANY);
}

int run_listener_url(int fd, char **ret)
{
        struct sockaddr_storage address;
        socklen_t size = sizeof(address);
        char host[INET6_ADDRSTRLEN], port[8];
        bool is_v6;

        if (getsockname(fd, (struct sockaddr *) &address, &size) < 0)
                return -errno;
        if (getnameinfo((struct sockaddr *) &address, size, host, sizeof(host), port, sizeof(port),
                        NI_NUMERICHOST | NI_NUMERICSERV) != 0)
                return -EINVAL;
        is_v6 = address.ss_family == AF_INET6;
        if (is_wildcard(&address))
                (void) STR_COPY(host, is_v6 ? "::1" : "127.0.0.1");
        if (asprintf(ret, "http://%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port) < 0)
                return -ENOMEM;
        return 0;
}
