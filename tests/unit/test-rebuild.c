/* What an earlier supervisor left, read by one that is short of file descriptors. The worker of the session is
 * a shell that is called like one. */
#include "supervisor/rebuild.h"

#include "common/fd.h"
#include "supervisor/admission.h"
#include "supervisor/dormant.h"
#include "supervisor/launch.h"
#include "supervisor/resolve.h"
#include "supervisor/workspace.h"
#include "tests/unit/supervisor-fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define ID "0123456789abcdef"

static char folder[64];
static pid_t worker;
static unsigned n_reconsidered;

/* ---- stand-ins -------------------------------------------------------------------------------- */

void lifecycle_set_definition(struct session *session, const struct server_config *server)
{
}

void lifecycle_arm_lifetime(struct session *session)
{
}

void lifecycle_stop(struct session *session, enum reason reason, const char *detail, usec_t drain_usec)
{
}

int launch_describe_command(struct session *session, const struct server_config *server, const char *path)
{
        return 0;
}

void dormant_recall(struct session *session)
{
}

int dormant_restore(struct supervisor *supervisor, struct record *record_consume)
{
        record_done(record_consume);
        return 0;
}

void resolver_reconsider(struct resolver *resolver)
{
        n_reconsidered++;
}

static void on_empty(struct tracked *tracked, void *userdata)
{
        struct tracked_owner *owner = tracked_userdata(tracked);

        owner->on_empty(owner);
}

/* ---- the fixture ------------------------------------------------------------------------------ */

static int open_folder(const char *name)
{
        char path[128];

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        assert_int_equal(mkdir(path, 0700), 0);
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

/* Its name is also the script that it runs: it waits for a line that nobody writes. */
static pid_t start_worker(void)
{
        int fd = open_folder("lake"), executed[2];
        char nothing;

        assert_int_equal(fd_write_file_atomic_at(fd, ID, "read -r line\n", 13, 0600), 0);
        close(fd);
        assert_int_equal(pipe2(executed, O_CLOEXEC), 0);
        pid_t pid = fork();

        if (pid == 0) {
                if (chdir(folder) < 0)
                        _exit(1);
                execl("/bin/sh", "envmux-worker", "lake/" ID, NULL);
                _exit(1);
        }
        close(executed[1]);
        assert_int_equal(read(executed[0], &nothing, 1), 0); /* exec has closed it */
        close(executed[0]);
        return pid;
}

static int setup(void **state)
{
        struct record record = { .id = ID, .server = "lake", .key = "k", .kind = KEY_NAMED, .generation = 1,
                                 .token = "t", .idle_usec = USEC_PER_MINUTE, .lifetime_usec = USEC_INFINITY };
        int r = fixture_setup(state);
        struct supervisor *supervisor = &fixture->supervisor;
        int pipe_fds[2];

        (void) snprintf(folder, sizeof(folder), "/tmp/test-rebuild-XXXXXX");
        assert_non_null(mkdtemp(folder));
        supervisor->records_fd = open_folder("records");
        supervisor->sockets_fd = open_folder("sockets");
        assert_int_equal(record_write(supervisor->records_fd, &record), 0);
        assert_int_equal(admission_new(supervisor, &supervisor->admission), 0);
        assert_int_equal(tracking_new(supervisor->base, TRACKING_PROCESS_TREE, NULL, folder, on_empty, NULL,
                                      &supervisor->tracking), 0);
        assert_int_equal(workspaces_new(supervisor->base, folder, &supervisor->workspaces), 0);
        /* The shell reads from a pipe that nobody writes to, for as long as the test lives. */
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        assert_true(dup2(pipe_fds[0], STDIN_FILENO) >= 0);
        close(pipe_fds[0]);
        worker = start_worker();
        n_reconsidered = 0;
        return r;
}

static int teardown(void **state)
{
        struct supervisor *supervisor = &fixture->supervisor;

        (void) kill(worker, SIGKILL);
        (void) waitpid(worker, NULL, 0);
        session_table_free(supervisor->sessions);
        supervisor->sessions = NULL;
        rebuild_free(supervisor->rebuild);
        workspaces_free(supervisor->workspaces);
        tracking_free(supervisor->tracking);
        admission_free(supervisor->admission);
        close(supervisor->records_fd);
        close(supervisor->sockets_fd);
        assert_int_equal(fd_remove_tree_at(AT_FDCWD, folder), 0);
        return fixture_teardown(state);
}

/* At most `more` descriptors beyond those that are open; the old limit. */
static struct rlimit limit_descriptors(unsigned more)
{
        struct rlimit old, now;
        int next = dup(STDERR_FILENO);

        close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        now = (struct rlimit) { .rlim_cur = (rlim_t) next + more, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
        return old;
}

static bool is_recorded(void)
{
        return faccessat(fixture->supervisor.records_fd, ID, F_OK, 0) == 0;
}

static void settle(void)
{
        while (!rebuild_is_settled(fixture->supervisor.rebuild))
                event_base_loop(fixture->supervisor.base, EVLOOP_ONCE);
}

/* 0: not even the folder of the records; 1: the folder, no record; 2: the record and no pidfd, … */
static void test_a_session_outlives_the_want_of_descriptors(void **state)
{
        struct supervisor *supervisor = &fixture->supervisor;

        for (unsigned more = 0; more < 4; more++) {
                struct rlimit old = limit_descriptors(more);
                int r = rebuild_new(supervisor, &supervisor->rebuild);

                if (r >= 0)
                        fixture_turn();
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
                assert_int_equal(r, 0);
                settle();
                fixture_turn();
                struct session *s = session_find_id(supervisor->sessions, ID);

                assert_true(is_recorded());
                assert_non_null(s);
                assert_int_equal(s->state, SESSION_ADOPTING);
                assert_int_equal(s->worker_pid, worker);
                assert_false(tracked_is_empty(s->tracked));
                assert_true(more > 1 || n_reconsidered == more + 1);
                supervisor->rebuild = rebuild_free(supervisor->rebuild);
                session_table_free(supervisor->sessions);
                supervisor->sessions = session_table_new();
        }
}

static void test_a_stop_waits_for_nothing(void **state)
{
        struct supervisor *supervisor = &fixture->supervisor;
        struct rlimit old = limit_descriptors(1);

        assert_int_equal(rebuild_new(supervisor, &supervisor->rebuild), 0);
        assert_true(rebuild_is_busy(supervisor->rebuild));
        rebuild_give_up(supervisor->rebuild);
        fixture_turn();
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_true(rebuild_is_settled(supervisor->rebuild));
        assert_false(is_recorded());
}

static void test_a_record_that_is_none_is_dropped_at_once(void **state)
{
        struct supervisor *supervisor = &fixture->supervisor;

        assert_int_equal(fd_write_file_atomic_at(supervisor->records_fd, ID, "{}", 2, 0600), 0);
        assert_int_equal(rebuild_new(supervisor, &supervisor->rebuild), 0);
        assert_true(rebuild_is_settled(supervisor->rebuild));
        assert_false(is_recorded());
        assert_int_equal(session_count(supervisor->sessions), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_session_outlives_the_want_of_descriptors, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_stop_waits_for_nothing, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_record_that_is_none_is_dropped_at_once, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
