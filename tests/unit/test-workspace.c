#include "common/fd.h"
#include "supervisor/workspace.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

struct fixture {
        char folder[64];
        struct event_base *base;
        struct workspaces *workspaces;
};

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        (void) snprintf(f->folder, sizeof(f->folder), "/tmp/envmux-test-workspace.XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        f->base = event_base_new();
        assert_int_equal(workspaces_new(f->base, f->folder, &f->workspaces), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        int r = workspaces_flush(f->workspaces);

        workspaces_free(f->workspaces);
        event_base_free(f->base);
        if (r >= 0)
                r = fd_remove_tree_at(AT_FDCWD, f->folder);
        free(f);
        return r;
}

static bool exists(const struct fixture *f, const char *path)
{
        char full[256];

        (void) snprintf(full, sizeof(full), "%s/%s", f->folder, path);
        return access(full, F_OK) == 0;
}

static void test_made_with_config_and_private(void **state)
{
        struct fixture *f = *state;
        struct workspace_paths paths;
        _cleanup_free_ char *text = NULL;
        struct stat st;

        assert_int_equal(workspace_make(f->workspaces, "id", "{\"a\":1}", NULL, &paths), 0);
        assert_int_equal(stat(paths.work, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
        assert_int_equal(stat(paths.tmp, &st), 0);
        assert_int_equal(fd_read_file_at(AT_FDCWD, paths.config_file, 100, &text, NULL), 0);
        assert_string_equal(text, "{\"a\":1}");
        workspace_paths_done(&paths);
}

static void test_second_make_is_fresh(void **state)
{
        struct fixture *f = *state;
        struct workspace_paths paths;

        assert_int_equal(workspace_make(f->workspaces, "id", NULL, NULL, &paths), 0);
        assert_null(paths.config_file);
        workspace_paths_done(&paths);
        char file[256];

        (void) snprintf(file, sizeof(file), "%s/workspaces/id/work/left", f->folder);
        close(creat(file, 0600));
        assert_true(exists(f, "workspaces/id/work/left"));
        assert_int_equal(workspace_make(f->workspaces, "id", NULL, NULL, &paths), 0);
        workspace_paths_done(&paths);
        assert_false(exists(f, "workspaces/id/work/left"));
}

/* Deep, unreadable, with links that lead out: all goes, and nothing outside does. */
static void test_discard_removes_hostile_trees(void **state)
{
        struct fixture *f = *state;
        struct workspace_paths paths;
        char script[512];

        assert_int_equal(workspace_make(f->workspaces, "id", NULL, NULL, &paths), 0);
        (void) snprintf(script, sizeof(script),
                        "cd %s && mkdir -p ../../../outside && touch ../../../outside/kept && ln -s ../../../outside link && "
                        "mkdir -p a/b/c/d/e/f/g && touch a/b/c/x && chmod 0 a/b/c && mkdir ro && touch ro/f && chmod 500 ro",
                        paths.work);
        assert_int_equal(system(script), 0);
        workspace_paths_done(&paths);
        assert_int_equal(workspace_discard(f->workspaces, "id"), 0);
        assert_false(exists(f, "workspaces/id"));
        assert_int_equal(workspaces_flush(f->workspaces), 0);
        assert_true(exists(f, "outside/kept"));
        assert_int_equal(workspace_discard(f->workspaces, "id"), 0);
}

static bool is_known(const char *id, void *userdata)
{
        return streq(id, "known");
}

static void test_unknown_ones_go_after_a_restart(void **state)
{
        struct fixture *f = *state;
        struct workspace_paths paths;

        assert_int_equal(workspace_make(f->workspaces, "known", NULL, NULL, &paths), 0);
        workspace_paths_done(&paths);
        assert_int_equal(workspace_make(f->workspaces, "stray", NULL, NULL, &paths), 0);
        workspace_paths_done(&paths);
        assert_int_equal(workspaces_discard_unknown(f->workspaces, is_known, NULL), 0);
        assert_true(exists(f, "workspaces/known"));
        assert_false(exists(f, "workspaces/stray"));
}

/* What is trashed while the remover runs is removed by the next one. */
static void test_remover_runs_again_for_late_comers(void **state)
{
        struct fixture *f = *state;
        struct workspace_paths paths;

        for (int i = 0; i < 5; i++) {
                char id[8];

                (void) snprintf(id, sizeof(id), "s%d", i);
                assert_int_equal(workspace_make(f->workspaces, id, NULL, NULL, &paths), 0);
                workspace_paths_done(&paths);
                assert_int_equal(workspace_discard(f->workspaces, id), 0);
        }
        for (pid_t pid; (pid = workspaces_remover_pid(f->workspaces)) > 0;) {
                assert_int_equal(waitpid(pid, NULL, 0), pid);
                workspaces_on_child_exit(f->workspaces, pid);
        }
        char path[128];

        (void) snprintf(path, sizeof(path), "%s/trash", f->folder);
        assert_int_equal(rmdir(path), 0);
}

/* Whoever waits for the end of a connection to this process does not wait for its remover. */
static void test_remover_holds_nothing_of_ours(void **state)
{
        struct fixture *f = *state;
        struct workspace_paths paths;
        char script[512];
        int fds[2];

        assert_int_equal(workspace_make(f->workspaces, "id", NULL, NULL, &paths), 0);
        (void) snprintf(script, sizeof(script), "cd %s && seq -f file%%.0f 20000 | xargs touch", paths.work);
        assert_int_equal(system(script), 0);
        workspace_paths_done(&paths);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(workspace_discard(f->workspaces, "id"), 0);
        assert_int_equal(close(fds[1]), 0);
        assert_int_equal(read(fds[0], script, 1), 0);
        siginfo_t info = { 0 };

        /* Still at work. */
        assert_int_equal(waitid(P_PID, (id_t) workspaces_remover_pid(f->workspaces), &info, WEXITED | WNOHANG | WNOWAIT), 0);
        assert_int_equal(info.si_pid, 0);
        assert_int_equal(close(fds[0]), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_made_with_config_and_private, setup, teardown),
                cmocka_unit_test_setup_teardown(test_second_make_is_fresh, setup, teardown),
                cmocka_unit_test_setup_teardown(test_discard_removes_hostile_trees, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unknown_ones_go_after_a_restart, setup, teardown),
                cmocka_unit_test_setup_teardown(test_remover_runs_again_for_late_comers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_remover_holds_nothing_of_ours, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
