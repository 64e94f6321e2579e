#include "common/process_tree.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Starts a shell that says when what script starts is there. */
static pid_t start(const char *script, const char *environment)
{
        char *const argv[] = { (char *) "sh", (char *) "-c", (char *) script, NULL };
        char *const envp[] = { (char *) environment, NULL };
        int pipe_fds[2];
        char byte;

        assert_int_equal(pipe(pipe_fds), 0);
        pid_t pid = fork();

        if (pid == 0) {
                (void) dup2(pipe_fds[1], STDOUT_FILENO);
                execve("/bin/sh", argv, envp);
                _exit(127);
        }
        close(pipe_fds[1]);
        assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
        close(pipe_fds[0]);
        return pid;
}

static void reap_all(void)
{
        while (waitpid(-1, NULL, 0) > 0)
                ;
}

static bool has(const pid_t *pids, size_t n, pid_t pid)
{
        for (size_t i = 0; i < n; i++)
                if (pids[i] == pid)
                        return true;
        return false;
}

/* Both ways of asking say the same. */
static void test_children_by_file_and_by_scan(void **state)
{
        pid_t *by_file, *by_scan, one = start("echo; exec sleep 1000", "A=1"), two = start("sleep 1000 & echo; wait", "A=1");
        size_t n_file, n_scan;

        assert_int_equal(process_children(getpid(), &by_file, &n_file), 0);
        assert_int_equal(process_children_scan(getpid(), &by_scan, &n_scan), 0);
        assert_int_equal(n_file, 2);
        assert_int_equal(n_scan, 2);
        assert_true(has(by_file, n_file, one) && has(by_file, n_file, two));
        assert_true(has(by_scan, n_scan, one) && has(by_scan, n_scan, two));
        free(by_file);
        free(by_scan);
        assert_int_equal(process_kill_descendants(getpid()), 3);
        reap_all();
        assert_int_equal(process_children(one, &by_file, &n_file), -ESRCH);
        assert_int_equal(process_children_scan(one, &by_scan, &n_scan), 0);
        assert_int_equal(n_scan, 0);
        free(by_scan);
}

static void test_only_a_child_is_killed_and_only_once(void **state)
{
        pid_t pid = start("echo; exec sleep 1000", "A=1");
        siginfo_t info;

        uid_t uid = (uid_t) -1;

        assert_int_equal(process_parent(pid), getpid());
        assert_int_equal(process_uid(pid, &uid), 0);
        assert_int_equal(uid, getuid());
        assert_false(process_kill_child(pid, getppid()));
        assert_true(process_kill_child(pid, getpid()));
        assert_int_equal(waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), 0);
        /* A zombie is over: hitting it again would count for ever. */
        assert_false(process_kill_child(pid, getpid()));
        assert_int_equal(process_parent(pid), -ESRCH);
        reap_all();
        assert_int_equal(process_parent(pid), -ESRCH);
}

static void test_marked_are_found_whoever_their_parent_is(void **state)
{
        char mark[64], longer[sizeof(mark) + 1];

        (void) snprintf(mark, sizeof(mark), "ENVMUX_TEST=%d", getpid());
        (void) snprintf(longer, sizeof(longer), "%s0", mark);
        pid_t other = start("echo; exec sleep 1000", longer);

        assert_int_equal(process_kill_marked(longer, getuid() + 1), 0);
        (void) start("setsid sh -c 'sleep 1000 & echo; sleep 1001' & exec sleep 1002", mark);
        assert_true(process_kill_marked(mark, getuid()) >= 3);
        assert_int_equal(process_parent(other), getpid());
        while (process_kill_marked(mark, getuid()) > 0)
                ;
        assert_int_equal(process_kill_marked(longer, getuid()), 1);
        reap_all();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_children_by_file_and_by_scan),
                cmocka_unit_test(test_only_a_child_is_killed_and_only_once),
                cmocka_unit_test(test_marked_are_found_whoever_their_parent_is),
        };

        /* Orphans come back to the test that made them. */
        (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
