#include "common/log.h"
#include "common/macro.h"
#include "router/sandbox.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#define NOBODY 65534

static char folder[64];

static int setup(void **state)
{
        (void) snprintf(folder, sizeof(folder), "/tmp/envmux-test-sandbox.XXXXXX");
        return mkdtemp(folder) && chmod(folder, 0711) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
        return rmdir(folder);
}

/* Runs check in a child inside the sandbox; what it returns is the child's exit status. */
static int inside(const struct sandbox_user *user, int (*check)(void))
{
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                if (chdir(folder) < 0 || sandbox_enter(user) < 0)
                        _exit(99);
                _exit(check());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* Sanitizers need what the filter forbids, so that there it is left out. prctl(2) is forbidden, too. */
static bool is_filtered(void)
{
        return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
}

static int check_filter(void)
{
        char *const argv[] = { (char[]) { "true" }, NULL };

        if (!is_filtered())
                return 77;
        if (open("/dev/null", O_RDONLY) >= 0 || errno != EPERM)
                return 1;
        if (execve("/bin/true", argv, NULL) >= 0 || errno != EPERM)
                return 2;
        if (fork() != -1 || errno != EPERM)
                return 3;
        if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
                return 4;
        if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
                return 5;
        return unlink("x") == 0 || errno != EPERM ? 6 : 0;
}

static int check_serving(void)
{
        int pair[2], fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "nobody-listens" };
        char c;

        if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) == 0 || errno != ENOENT)
                return 1;
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || write(pair[0], "x", 1) != 1 || read(pair[1], &c, 1) != 1)
                return 2;
        log_notice("the log goes on");
        return malloc(1 << 20) ? 0 : 3;
}

static int check_user(void)
{
        if (getuid() != NOBODY || geteuid() != NOBODY || getgid() != NOBODY)
                return 1;
        /* Where stat(2) is allowed at all: the folder is the root now, and empty. */
        return access("/tmp", F_OK) == 0 ? 2 : 0;
}

static void test_no_files_and_no_programs(void **state)
{
        const struct sandbox_user same = {};
        int status = inside(&same, check_filter);

        if (status == 77)
                skip();
        assert_int_equal(status, 0);
}

static void test_what_serving_takes_is_allowed(void **state)
{
        const struct sandbox_user same = {};

        assert_int_equal(inside(&same, check_serving), 0);
}

static void test_another_user_in_an_empty_root(void **state)
{
        const struct sandbox_user nobody = { .is_set = true, .uid = NOBODY, .gid = NOBODY };

        if (geteuid() != 0)
                skip();
        assert_int_equal(inside(&nobody, check_user), 0);
        assert_int_equal(inside(&nobody, check_serving), 0);
}

static void test_a_user_that_cannot_be_had_is_an_error(void **state)
{
        const struct sandbox_user other = { .is_set = true, .uid = NOBODY, .gid = NOBODY };

        if (geteuid() == 0)
                skip();
        assert_int_equal(inside(&other, check_serving), 99);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_no_files_and_no_programs),
                cmocka_unit_test(test_what_serving_takes_is_allowed),
                cmocka_unit_test(test_another_user_in_an_empty_root),
                cmocka_unit_test(test_a_user_that_cannot_be_had_is_an_error),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
