#include "common/http/http.h"

#include "common/fd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

static int start_connect(int family, const struct sockaddr *address, socklen_t size)
{
        static const int on = 1;
        _cleanup_fd_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        if (family != AF_UNIX && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
                return -errno;
        if (connect(fd, address, size) < 0 && errno != EINPROGRESS)
                return -errno;
        return TAKE_FD(fd);
}

int http_connect_unix(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int r = STR_COPY(address.sun_path, path);

        if (r < 0)
                return r;
        return start_connect(AF_UNIX, (const struct sockaddr *) &address, sizeof(address));
}

int http_connect_tcp(const char *address, uint16_t port)
{
        struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(port) };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

        if (inet_pton(AF_INET, address, &in4.sin_addr) == 1)
                return start_connect(AF_INET, (const struct sockaddr *) &in4, sizeof(in4));
        if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1)
                return start_connect(AF_INET6, (const struct sockaddr *) &in6, sizeof(in6));
        return -EINVAL;
}
