#include "common/fd.h"
#include "worker/port_hold.h"
#include "worker/socket_owner.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

static int bind_port(uint16_t port, bool reuse)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = reuse;
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0) {
                int r = -errno;

                close(fd);
                return r;
        }
        return fd;
}

static void test_a_held_port_can_be_listened_on_by_servers_that_reuse(void **state)
{
        struct port_hold hold;

        assert_int_equal(port_hold_init(&hold), 0);
        assert_int_equal(bind_port(hold.port, false), -EADDRINUSE);
        int fd = bind_port(hold.port, true);

        assert_true(fd >= 0);
        assert_int_equal(listen(fd, 8), 0);
        close(fd);
        port_hold_release(&hold);
        fd = bind_port(hold.port, false);
        assert_true(fd >= 0);
        close(fd);
}

static void test_the_listener_is_ours_or_a_neighbours(void **state)
{
        struct port_hold hold;

        assert_int_equal(port_hold_init(&hold), 0);
        assert_int_equal(socket_check_port(hold.port, getpid()), 0);
        int fd = bind_port(hold.port, true);

        assert_int_equal(listen(fd, 8), 0);
        assert_int_equal(socket_check_port(hold.port, getpid()), 1);

        /* Seen from a process that does not have it, it is somebody else's. */
        pid_t child = fork();

        if (child == 0) {
                close(fd);
                _exit(socket_check_port(hold.port, getpid()) == -EADDRINUSE ? 0 : 1);
        }
        int status;

        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        close(fd);
        port_hold_release(&hold);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_held_port_can_be_listened_on_by_servers_that_reuse),
                cmocka_unit_test(test_the_listener_is_ours_or_a_neighbours),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
