#include "common/fd.h"
#include "common/process_tree.h"
#include "supervisor/cgroup.h"
#include "supervisor/spawn.h"
#include "supervisor/tracking.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

struct fixture {
        struct event_base *base;
        struct tracking *tracking;
        unsigned n_empty;
        char runtime[64];
};

static void on_empty(struct tracked *tracked, void *userdata)
{
        struct fixture *f = userdata;

        f->n_empty++;
        event_base_loopbreak(f->base);
}

static struct fixture *fixture_new(enum tracking_mode mode)
{
        struct fixture *f = calloc(1, sizeof(*f));

        f->base = event_base_new();
        (void) snprintf(f->runtime, sizeof(f->runtime), "/tmp/envmux-test-%d", getpid());
        assert_int_equal(tracking_new(f->base, mode, NULL, f->runtime, on_empty, f, &f->tracking), 0);
        return f;
}

static int setup_cgroups(void **state)
{
        *state = fixture_new(TRACKING_AUTO);
        return 0;
}

static int setup_tree(void **state)
{
        *state = fixture_new(TRACKING_PROCESS_TREE);
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        int r = tracking_remove_root(f->tracking);

        tracking_free(f->tracking);
        event_base_free(f->base);
        free(f);
        return r;
}

/* A worker that has a tree of children, one of them in a session of its own; says when all exist. */
static void start_worker(struct tracked *tracked)
{
        static const char script[] = "setsid sh -c 'sleep 1000 & sleep 1001' & sleep 1002 & echo up; wait";
        const char *argv[] = { "sh", "-c", script, NULL };
        int pipe_fds[2], pidfd;
        pid_t pid;
        char byte;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        struct spawn_request request = {
                .path = "/bin/sh", .argv = argv, .cgroup_fd = tracked_worker_cgroup_fd(tracked), .output_fd = pipe_fds[1],
        };

        assert_int_equal(spawn_process(&request, &pid, &pidfd), 0);
        tracked_set_worker(tracked, pid, pidfd);
        assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
}

static void reap_all(void)
{
        while (waitpid(-1, NULL, 0) > 0)
                ;
}

static void test_kill_leaves_nothing_and_says_so(void **state)
{
        struct fixture *f = *state;
        struct tracked *tracked;

        if (!tracking_has_cgroups(f->tracking)) {
                print_message("no writable cgroup v2 tree here\n");
                skip();
        }
        assert_int_equal(tracked_new(f->tracking, "la.ke", "", "0123", false, NULL, &tracked), 0);
        start_worker(tracked);
        assert_false(tracked_is_empty(tracked));
        assert_int_equal(tracked_remove(tracked), -EBUSY);
        assert_int_equal(tracked_kill(tracked), 0);
        event_base_dispatch(f->base);
        assert_int_equal(f->n_empty, 1);
        assert_true(tracked_is_empty(tracked));
        assert_int_equal(tracked_remove(tracked), 0);
        assert_int_not_equal(access(tracked_describe(tracked), F_OK), 0);
        tracked_free(tracked);
        reap_all();
}

/* A root that another unit lends: named from our own cgroup, neither made nor removed by us. */
static void test_lent_root(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *own = NULL, *path = NULL, *relative = NULL;
        struct tracking *lent;
        struct tracked *tracked;

        if (!tracking_has_cgroups(f->tracking))
                skip();
        assert_int_equal(cgroup_own_path(&own), 0);
        assert_true(asprintf(&path, "%s/envmux-lent-%d", own, getpid()) > 0);
        assert_true(asprintf(&relative, "envmux-lent-%d", getpid()) > 0);
        assert_int_equal(tracking_new(f->base, TRACKING_AUTO, relative, f->runtime, on_empty, f, &lent), -ENOENT);
        assert_int_equal(tracking_new(f->base, TRACKING_AUTO, "a/../../b", f->runtime, on_empty, f, &lent), -EINVAL);

        assert_int_equal(mkdir(path, 0755), 0);
        assert_int_equal(tracking_new(f->base, TRACKING_AUTO, relative, f->runtime, on_empty, f, &lent), 0);
        assert_int_equal(tracked_new(lent, "lake", "", "0123", false, NULL, &tracked), 0);
        assert_int_equal(strncmp(tracked_describe(tracked), path, strlen(path)), 0);
        assert_int_equal(tracked_remove(tracked), 0);
        tracked_free(tracked);
        assert_int_equal(tracking_remove_root(lent), 0);
        assert_int_equal(access(path, F_OK), 0);
        tracking_free(lent);
        assert_int_equal(rmdir(path), 0);
}

/* Out of descriptors, a session that lives must not count as over. */
static void test_what_cannot_be_read_is_not_empty(void **state)
{
        struct fixture *f = *state;
        struct tracked *tracked;
        struct rlimit limit, none;

        if (!tracking_has_cgroups(f->tracking))
                skip();
        assert_int_equal(tracked_new(f->tracking, "lake", "", "0123", false, NULL, &tracked), 0);
        start_worker(tracked);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        none = (struct rlimit) { .rlim_cur = 0, .rlim_max = limit.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        bool is_empty = tracked_is_empty(tracked);

        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_false(is_empty);
        assert_int_equal(tracked_kill(tracked), 0);
        event_base_dispatch(f->base);
        assert_int_equal(tracked_remove(tracked), 0);
        tracked_free(tracked);
        reap_all();
}

static int on_found(const char *server, const char *principal, const char *id, void *userdata)
{
        assert_string_equal(server, "a/b.c");
        assert_string_equal(principal, "user@example");
        assert_string_equal(id, "77");
        (*(unsigned *) userdata)++;
        return 0;
}

static void test_another_supervisor_finds_and_adopts(void **state)
{
        struct fixture *f = *state;
        struct tracked *tracked, *adopted;
        unsigned n = 0;

        if (!tracking_has_cgroups(f->tracking))
                skip();
        assert_int_equal(tracked_new(f->tracking, "a/b.c", "user@example", "77", false, NULL, &tracked), 0);
        start_worker(tracked);
        assert_int_equal(tracked_new(f->tracking, "a/b.c", "user@example", "77", false, NULL, &adopted), -EEXIST);
        tracked_free(tracked);

        assert_int_equal(tracking_list(f->tracking, on_found, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(tracked_new(f->tracking, "a/b.c", "user@example", "77", true, NULL, &adopted), 0);
        assert_false(tracked_is_empty(adopted));
        assert_int_equal(tracked_kill(adopted), 0);
        event_base_dispatch(f->base);
        assert_int_equal(tracked_remove(adopted), 0);
        tracked_free(adopted);
        reap_all();
}

/* The end of the last process is told without anybody asking. */
static void test_exit_of_the_last_process_is_told(void **state)
{
        struct fixture *f = *state;
        struct tracked *tracked;
        const char *argv[] = { "true", NULL };
        int pidfd;
        pid_t pid;

        assert_int_equal(tracked_new(f->tracking, "s", "", "1", false, NULL, &tracked), 0);
        struct spawn_request request = {
                .path = "/bin/true", .argv = argv, .cgroup_fd = tracked_worker_cgroup_fd(tracked), .output_fd = -1,
        };

        assert_int_equal(spawn_process(&request, &pid, &pidfd), 0);
        tracked_set_worker(tracked, pid, pidfd);
        event_base_dispatch(f->base);
        assert_int_equal(f->n_empty, 1);
        reap_all();
        assert_int_equal(tracked_remove(tracked), 0);
        tracked_free(tracked);
}

static bool nobody_is_known(pid_t pid, void *userdata)
{
        return false;
}

static void test_process_tree_kill_with_strays(void **state)
{
        struct fixture *f = *state;
        struct tracked *tracked;

        prctl(PR_SET_CHILD_SUBREAPER, 1);
        assert_int_equal(tracked_new(f->tracking, "s", "", "1", false, NULL, &tracked), 0);
        start_worker(tracked);
        assert_int_equal(tracked_kill(tracked), 0);
        event_base_dispatch(f->base);
        assert_int_equal(f->n_empty, 1);
        /* Orphans come to us; killing and reaping ends with nothing left. */
        (void) tracking_kill_strays(0, nobody_is_known, NULL);
        reap_all();
        pid_t *children = NULL;
        size_t n = 1;

        assert_int_equal(process_children(getpid(), &children, &n), 0);
        assert_int_equal(n, 0);
        free(children);
        tracked_free(tracked);
}

static void test_cgroup_names_round_trip(void **state)
{
        static const char *const names[] = { "", "-", "_", "__", "lake", "cgroup.procs", "a/b", "100%", "é", "." };
        char escaped[64], back[64];

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                assert_int_equal(cgroup_name_escape(names[i], escaped, sizeof(escaped)), 0);
                assert_null(strpbrk(escaped, "./"));
                assert_int_equal(cgroup_name_unescape(escaped, back, sizeof(back)), 0);
                assert_string_equal(back, names[i]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_kill_leaves_nothing_and_says_so, setup_cgroups, teardown),
                cmocka_unit_test_setup_teardown(test_lent_root, setup_cgroups, teardown),
                cmocka_unit_test_setup_teardown(test_what_cannot_be_read_is_not_empty, setup_cgroups, teardown),
                cmocka_unit_test_setup_teardown(test_another_supervisor_finds_and_adopts, setup_cgroups, teardown),
                cmocka_unit_test_setup_teardown(test_exit_of_the_last_process_is_told, setup_cgroups, teardown),
                cmocka_unit_test_setup_teardown(test_exit_of_the_last_process_is_told, setup_tree, teardown),
                cmocka_unit_test_setup_teardown(test_process_tree_kill_with_strays, setup_tree, teardown),
                cmocka_unit_test(test_cgroup_names_round_trip),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
