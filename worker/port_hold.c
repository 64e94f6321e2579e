#include "worker/port_hold.h"

#include "common/fd.h"

#include <netinet/in.h>
#include <sys/socket.h>

int port_hold_init(struct port_hold *ret)
{
        _cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int on = 1;

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ||
            getsockname(fd, (struct sockaddr *) &address, &size) < 0)
                return -errno;
        *ret = (struct port_hold) { .fd = TAKE_FD(fd), .port = ntohs(address.sin_port) };
        return 0;
}

void port_hold_release(struct port_hold *hold)
{
        hold->fd = fd_close(hold->fd);
}
