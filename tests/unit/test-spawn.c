#include "common/fd.h"
#include "supervisor/spawn.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Runs `sh -c script` with its output in a pipe and returns what it said. */
static char *run(const char *script, const int *fds, size_t n_fds)
{
        int pipe_fds[2], pidfd, status;
        pid_t pid;
        char *text;
        const char *argv[] = { "sh", "-c", script, NULL };

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        struct spawn_request request = {
                .path = "/bin/sh", .argv = argv, .fds = fds, .n_fds = n_fds, .cgroup_fd = -1, .output_fd = pipe_fds[1],
        };

        assert_int_equal(spawn_process(&request, &pid, &pidfd), 0);
        close(pipe_fds[1]);
        assert_int_equal(fd_read_all(pipe_fds[0], 65536, &text, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        close(pidfd);
        close(pipe_fds[0]);
        return text;
}

static void test_only_the_given_fds_arrive(void **state)
{
        /* Deliberately leaked without close-on-exec, and low numbers that collide with the targets. */
        int leaked = open("/dev/null", O_RDONLY);
        int swapped[] = { open("/etc/hostname", O_RDONLY | O_CLOEXEC), -1, leaked };
        _cleanup_free_ char *text = run("cd /proc/$$/fd && echo *", swapped, 3);

        /* 6 is the shell's own look into the folder. */
        assert_string_equal(text, "0 1 2 3 4 5 6\n");
        close(swapped[0]);
        close(leaked);
}

static void test_fds_arrive_in_order(void **state)
{
        int one = fd_memfd_new("one", "first", 5), two = fd_memfd_new("two", "second", 6);
        int fds[] = { two, one };
        _cleanup_free_ char *text = run("cat <&3; echo; cat <&4", fds, 2);

        assert_string_equal(text, "second\nfirst");
        close(one);
        close(two);
}

static void test_signals_are_reset(void **state)
{
        signal(SIGPIPE, SIG_IGN);
        sigset_t blocked;

        sigemptyset(&blocked);
        sigaddset(&blocked, SIGTERM);
        sigprocmask(SIG_BLOCK, &blocked, NULL);
        /* 32 and 33 belong to the C library: what a parent did to them is not ours to change. */
        _cleanup_free_ char *text = run("sed -n 's/^Sig[BI][lg][kn]:.*\\(.......\\)$/\\1/p' /proc/self/status", NULL, 0);

        assert_string_equal(text, "0000000\n0000000\n");
}

static void test_a_missing_program_is_an_errno(void **state)
{
        const char *argv[] = { "nothing", NULL };
        struct spawn_request request = { .path = "/nonexistent/nothing", .argv = argv, .cgroup_fd = -1, .output_fd = -1 };
        pid_t pid;
        int pidfd;

        assert_int_equal(spawn_process(&request, &pid, &pidfd), -ENOENT);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_only_the_given_fds_arrive),
                cmocka_unit_test(test_fds_arrive_in_order),
                cmocka_unit_test(test_signals_are_reset),
                cmocka_unit_test(test_a_missing_program_is_an_errno),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
