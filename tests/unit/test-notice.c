#include "ctl/notice.h"

#include "common/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

static struct notice parse(const char *text)
{
        struct notice notice;

        notice_parse(text, strlen(text), &notice);
        return notice;
}

static void test_lines(_unused_ void **state)
{
        struct notice n = parse("READY=1\nSTATUS=2 sessions\nUNKNOWN=x\n\nEXTEND_TIMEOUT_USEC=5000000\n");

        assert_true(n.is_ready);
        assert_false(n.is_stopping);
        assert_string_equal(n.status, "2 sessions");
        assert_int_equal(n.extend_usec, 5000000);
        assert_string_equal(n.fd_name, "stored");
}

static void test_only_whole_words_count(_unused_ void **state)
{
        struct notice n = parse("READY=10\nSTOPPING=\nWATCHDOG=1x\nFDSTORE=");

        assert_false(n.is_ready || n.is_stopping || n.is_watchdog || n.stores_fds);
}

static void test_last_line_without_line_feed(_unused_ void **state)
{
        struct notice n = parse("FDSTORE=1\nFDNAME=ipc");

        assert_true(n.stores_fds);
        assert_string_equal(n.fd_name, "ipc");
}

static void test_long_name_is_cut(_unused_ void **state)
{
        char text[256] = "FDSTOREREMOVE=1\nFDNAME=";
        struct notice n;

        memset(text + strlen(text), 'n', 200);
        n = parse(text);
        assert_true(n.removes_fds);
        assert_int_equal(strlen(n.fd_name), FD_NAME_SIZE - 1);
}

static int temporary_socket(char path[static 64])
{
        int fd;

        (void) snprintf(path, 64, "/tmp/test-notice-%d", (int) getpid());
        fd = notice_listen(path);
        assert_true(fd >= 0);
        return fd;
}

static void test_receive_with_fds(_unused_ void **state)
{
        char path[64], text[NOTICE_SIZE_MAX + 1];
        _cleanup_fd_ int receiver = temporary_socket(path), sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fds[NOTICE_FDS_MAX], sent = STDERR_FILENO;
        union {
                char bytes[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control = { .align = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
        struct iovec iov = { .iov_base = (char[]) { "FDSTORE=1" }, .iov_len = 9 };
        struct msghdr header = {
                .msg_name = &address, .msg_namelen = sizeof(address), .msg_iov = &iov, .msg_iovlen = 1,
                .msg_control = &control, .msg_controllen = sizeof(control),
        };
        size_t n_fds;
        pid_t pid;

        (void) STR_COPY(address.sun_path, path);
        memcpy(CMSG_DATA(&control.align), &sent, sizeof(sent));
        assert_int_equal(sendmsg(sender, &header, 0), 9);
        assert_int_equal(notice_receive(receiver, text, fds, &n_fds, &pid), 9);
        assert_string_equal(text, "FDSTORE=1");
        assert_int_equal(pid, getpid());
        assert_int_equal(n_fds, 1);
        assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
        fd_close(fds[0]);
        assert_int_equal(notice_receive(receiver, text, fds, &n_fds, &pid), -EAGAIN);
        (void) unlink(path);
}

static void test_store_keeps_one_of_each(_unused_ void **state)
{
        struct fd_store store = { .n = 0 };
        int pipes[2];

        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        assert_int_equal(fd_store_add(&store, "ipc", dup(pipes[0])), 0);
        assert_int_equal(fd_store_add(&store, "ipc", dup(pipes[0])), 0);
        assert_int_equal(store.n, 1);
        assert_int_equal(fd_store_add(&store, "control", dup(pipes[0])), 0);
        assert_int_equal(store.n, 2);
        fd_store_remove(&store, "ipc");
        assert_int_equal(store.n, 1);
        assert_string_equal(store.entries[0].name, "control");
        fd_store_done(&store);
        fd_close(pipes[0]);
        fd_close(pipes[1]);
}

static void test_store_is_bounded(_unused_ void **state)
{
        struct fd_store store = { .n = 0 };

        for (size_t i = 0; i < FD_STORE_MAX; i++)
                assert_int_equal(fd_store_add(&store, "s", fd_memfd_new("x", "x", 1)), 0);
        assert_int_equal(fd_store_add(&store, "s", fd_memfd_new("x", "x", 1)), -ENOSPC);
        assert_int_equal(store.n, FD_STORE_MAX);
        fd_store_done(&store);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_only_whole_words_count),
                cmocka_unit_test(test_last_line_without_line_feed),
                cmocka_unit_test(test_long_name_is_cut),
                cmocka_unit_test(test_receive_with_fds),
                cmocka_unit_test(test_store_keeps_one_of_each),
                cmocka_unit_test(test_store_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
