#include "common/fd.h"
#include "supervisor/account.h"
#include "supervisor/spawn.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Runs `sh -c script` as account with its output in a pipe and returns what it said. */
static char *run_as(const struct account *account, const char *script, const int *fds, size_t n_fds)
{
        int pipe_fds[2], pidfd, status;
        pid_t pid;
        char *text;
        const char *argv[] = { "sh", "-c", script, NULL };

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        struct spawn_request request = {
                .path = "/bin/sh", .argv = argv, .fds = fds, .n_fds = n_fds, .cgroup_fd = -1, .output_fd = pipe_fds[1],
                .account = account,
        };

        assert_int_equal(spawn_process(&request, &pid, &pidfd), 0);
        close(pipe_fds[1]);
        assert_int_equal(fd_read_all(pipe_fds[0], 65536, &text, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        close(pidfd);
        close(pipe_fds[0]);
        return text;
}

static char *run(const char *script, const int *fds, size_t n_fds)
{
        return run_as(NULL, script, fds, n_fds);
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

static void test_another_user_has_no_rights_of_ours(void **state)
{
        _cleanup_account_ struct account account = { .groups = NULL };

        if (geteuid() != 0)
                skip();
        assert_int_equal(account_find("1879048193", &account), 0);
        _cleanup_free_ char *text = run_as(&account, "sed -n 's/^Groups:\t *//p;s/^\\([UG]id\\|CapEff\\|NoNewPrivs\\):\t//p' "
                                                     "/proc/self/status; echo >/proc/1/oom_score_adj || echo refused",
                                           NULL, 0);

        assert_non_null(strstr(text, "1879048193\t1879048193\t1879048193\t1879048193\n1879048193\t"));
        assert_non_null(strstr(text, "\n1879048193 \n"));
        assert_non_null(strstr(text, "\n0000000000000000\n1\n"));
        assert_non_null(strstr(text, "refused"));
}

static void test_a_user_is_found_by_name_or_number(void **state)
{
        _cleanup_account_ struct account root = { .groups = NULL }, number = { .groups = NULL };
        struct account none;

        assert_int_equal(account_find("root", &root), 0);
        assert_int_equal(root.uid, 0);
        assert_string_equal(root.name, "root");
        assert_string_equal(root.home, "/root");
        assert_int_equal(account_find("0", &number), 0);
        assert_string_equal(number.name, "root");
        assert_int_equal(account_find("no-such-user", &none), -ENOENT);
        assert_int_equal(account_find("4294967295", &none), -ENOENT);
        assert_int_equal(account_find("65535", &none), -ENOENT);
        assert_int_equal(account_find("", &none), -ENOENT);
}

static void test_what_a_user_is_told_of_itself(void **state)
{
        _cleanup_account_ struct account account = { .groups = NULL };

        assert_int_equal(account_of_uid(1879048193, &account), 0);
        _cleanup_(account_environment_freep) char **env = account_environment(&account, "/workspace");

        assert_string_equal(env[0], "HOME=/workspace");
        assert_string_equal(env[1], "USER=1879048193");
        assert_string_equal(env[2], "LOGNAME=1879048193");
        assert_null(env[3]);
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
                cmocka_unit_test(test_another_user_has_no_rights_of_ours),
                cmocka_unit_test(test_a_user_is_found_by_name_or_number),
                cmocka_unit_test(test_what_a_user_is_told_of_itself),
                cmocka_unit_test(test_a_missing_program_is_an_errno),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
