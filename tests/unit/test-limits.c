/* Limits: their syntax, what the kernel is told, and which cgroup's files say so. A plain folder stands in for the
 * kernel's. */
#include "common/fd.h"
#include "supervisor/limits.h"
#include "supervisor/tracking_internal.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct limit limit_of(enum limit_kind kind, const char *text)
{
        struct limit limit;
        int r = limit_parse(kind, text, &limit);

        if (r < 0)
                fail_msg("\"%s\" is no %s: %d", text, limit_to_string(kind), r);
        assert_string_equal(limit.text, text);
        return limit;
}

static void assert_kernel(enum limit_kind kind, const char *text, const char *file, const char *value)
{
        struct limit limit = limit_of(kind, text);
        struct limit_file files[LIMIT_FILES_MAX];
        size_t n = limit_files(kind, &limit, files);

        assert_string_equal(files[n - 1].name, file);
        assert_string_equal(files[n - 1].value, value);
}

static void limits_are_read_and_told_the_kernel(void **state)
{
        assert_kernel(LIMIT_MEMORY_MAX, "512M", "memory.max", "536870912");
        assert_kernel(LIMIT_MEMORY_MAX, "1.5G", "memory.max", "1610612736");
        assert_kernel(LIMIT_MEMORY_MAX, "1048576", "memory.max", "1048576");
        assert_kernel(LIMIT_MEMORY_MAX, "infinity", "memory.max", "max");
        assert_kernel(LIMIT_TASKS_MAX, "64", "pids.max", "64");
        assert_kernel(LIMIT_TASKS_MAX, "infinity", "pids.max", "max");
        assert_kernel(LIMIT_CPU_QUOTA, "50%", "cpu.max", "50000 100000");
        assert_kernel(LIMIT_CPU_QUOTA, "200%", "cpu.max", "200000 100000");
        assert_kernel(LIMIT_CPU_QUOTA, "12.5%", "cpu.max", "12500 100000");
        assert_kernel(LIMIT_CPU_QUOTA, "infinity", "cpu.max", "max 100000");
        assert_kernel(LIMIT_CPU_WEIGHT, "50", "cpu.weight", "50");
        assert_kernel(LIMIT_CPU_WEIGHT, "idle", "cpu.idle", "1");
}

static void shares_are_of_the_machine(void **state)
{
        struct limit tenth = limit_of(LIMIT_MEMORY_MAX, "10%"), all = limit_of(LIMIT_MEMORY_MAX, "100%");
        struct limit_file files[LIMIT_FILES_MAX];

        limit_files(LIMIT_MEMORY_MAX, &tenth, files);
        double small = strtod(files[0].value, NULL);

        limit_files(LIMIT_MEMORY_MAX, &all, files);
        double large = strtod(files[0].value, NULL);

        assert_true(large > 1e8);
        assert_true(small / large > 0.0999 && small / large < 0.1001);
}

static void others_are_refused(void **state)
{
        static const struct {
                enum limit_kind kind;
                const char *text;
                int error;
        } bad[] = {
                { LIMIT_MEMORY_MAX, "", -EINVAL },       { LIMIT_MEMORY_MAX, "512X", -EINVAL },
                { LIMIT_MEMORY_MAX, "-1", -EINVAL },     { LIMIT_MEMORY_MAX, "1.G", -EINVAL },
                { LIMIT_MEMORY_MAX, "1.5.5G", -EINVAL }, { LIMIT_MEMORY_MAX, "512", -ERANGE },
                { LIMIT_MEMORY_MAX, "0%", -ERANGE },     { LIMIT_MEMORY_MAX, "100.01%", -ERANGE },
                { LIMIT_MEMORY_MAX, "max", -EINVAL },    { LIMIT_MEMORY_MAX, "9999999999999T", -ERANGE },
                { LIMIT_MEMORY_MAX, "99999999999999999999999999%", -ERANGE },
                { LIMIT_TASKS_MAX, "0", -ERANGE },       { LIMIT_TASKS_MAX, "1.5", -EINVAL },
                { LIMIT_TASKS_MAX, "4194305", -ERANGE }, { LIMIT_TASKS_MAX, "18446744073709551617", -ERANGE },
                { LIMIT_CPU_QUOTA, "50", -EINVAL },      { LIMIT_CPU_QUOTA, "0.99%", -ERANGE },
                { LIMIT_CPU_QUOTA, "50.123%", -EINVAL }, { LIMIT_CPU_WEIGHT, "0", -ERANGE },
                { LIMIT_CPU_WEIGHT, "50%", -EINVAL },    { LIMIT_CPU_WEIGHT, "infinity", -EINVAL },
                { LIMIT_MEMORY_MAX, "000000000000000000000000000000000001G", -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct limit limit;
                int r = limit_parse(bad[i].kind, bad[i].text, &limit);

                if (r != bad[i].error)
                        fail_msg("%s \"%s\": %d", limit_to_string(bad[i].kind), bad[i].text, r);
        }
}

static void controllers_are_whole_words(void **state)
{
        assert_int_equal(limit_controllers_parse("cpuset cpu io memory hugetlb pids rdma misc\n"), CONTROLLER__ALL);
        assert_int_equal(limit_controllers_parse("cpuset hugetlb\n"), 0);
        assert_int_equal(limit_controllers_parse("pids"), CONTROLLER_PIDS);
        assert_int_equal(limit_controllers_parse(""), 0);
}

/* ---- a tree --------------------------------------------------------------------------------------- */

#define SESSION "lake/alice/0123"

struct fixture {
        char root[64];
        struct tracking tracking;
        struct tracked tracked;
};

static void make_file(const struct fixture *f, const char *path)
{
        int fd = openat(f->tracking.root_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        close(fd);
}

static int setup(void **state)
{
        static const char *const folders[] = { "lake", "lake/alice", SESSION, SESSION "/backend" };
        static const char *const names[] = { "memory.max", "memory.oom.group", "pids.max", "cpu.max", "cpu.weight", "cpu.idle" };
        struct fixture *f = calloc(1, sizeof(*f));

        STR_COPY(f->root, "/tmp/envmux-test-limits-XXXXXX");
        assert_non_null(mkdtemp(f->root));
        f->tracking.root_path = f->root;
        f->tracking.root_fd = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        f->tracking.controllers = CONTROLLER__ALL;
        f->tracked.tracking = &f->tracking;
        f->tracked.path = strdup(SESSION);
        for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
                assert_int_equal(mkdirat(f->tracking.root_fd, folders[i], 0700), 0);
                for (size_t k = 0; k < ELEMENTSOF(names); k++) {
                        char path[128];

                        snprintf(path, sizeof(path), "%s/%s", folders[i], names[k]);
                        make_file(f, path);
                }
        }
        *state = f;
        return 0;
}

static int on_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
        return remove(path);
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        close(f->tracking.root_fd);
        free(f->tracked.path);
        nftw(f->root, on_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(f);
        return 0;
}

static void assert_file(const struct fixture *f, const char *path, const char *expected)
{
        _cleanup_free_ char *text = NULL;

        assert_int_equal(fd_read_file_at(f->tracking.root_fd, path, 4096, &text, NULL), 0);
        if (!streq(text, expected))
                fail_msg("%s holds \"%s\"", path, text);
}

static struct limits all_limits(void)
{
        return (struct limits) { .of = {
                [LIMIT_MEMORY_MAX] = limit_of(LIMIT_MEMORY_MAX, "512M"),
                [LIMIT_TASKS_MAX] = limit_of(LIMIT_TASKS_MAX, "64"),
                [LIMIT_CPU_QUOTA] = limit_of(LIMIT_CPU_QUOTA, "50%"),
                [LIMIT_CPU_WEIGHT] = limit_of(LIMIT_CPU_WEIGHT, "20"),
        } };
}

/* What would hit the worker stands on the leaf; a weight counts where the other sessions are siblings. */
static void a_session_is_limited_at_its_backend(void **state)
{
        struct fixture *f = *state;
        struct limits limits = all_limits();

        assert_int_equal(tracked_limit(&f->tracked, &limits), 0);
        assert_file(f, SESSION "/backend/memory.max", "536870912");
        assert_file(f, SESSION "/backend/memory.oom.group", "1");
        assert_file(f, SESSION "/backend/pids.max", "64");
        assert_file(f, SESSION "/backend/cpu.max", "50000 100000");
        assert_file(f, SESSION "/backend/cpu.weight", "");
        assert_file(f, SESSION "/cpu.weight", "20");
        assert_file(f, SESSION "/memory.max", "");
        assert_file(f, SESSION "/memory.oom.group", "");
}

static void groups_are_limited_at_their_folders(void **state)
{
        struct fixture *f = *state;
        struct limits limits = all_limits(), none = { .of = { { .form = LIMIT_UNSET } } };

        assert_int_equal(tracking_limit_group(&f->tracking, "lake", NULL, &limits, false), 0);
        assert_file(f, "lake/memory.max", "536870912");
        assert_file(f, "lake/memory.oom.group", "");
        assert_file(f, "lake/alice/memory.max", "");
        assert_int_equal(tracking_limit_group(&f->tracking, "lake", "alice", &limits, false), 0);
        assert_file(f, "lake/alice/pids.max", "64");
        assert_int_equal(tracking_limit_group(&f->tracking, "lake", "bob", &limits, false), -ENOENT);
        assert_int_equal(tracking_limit_group(&f->tracking, "lake", "alice", &none, false), 0);
        assert_file(f, "lake/alice/pids.max", "64");
}

static void a_reset_writes_what_the_kernel_begins_with(void **state)
{
        struct fixture *f = *state;
        struct limits none = { .of = { { .form = LIMIT_UNSET } } };

        assert_int_equal(tracking_limit_group(&f->tracking, "lake", NULL, &none, true), 0);
        assert_file(f, "lake/memory.max", "max");
        assert_file(f, "lake/pids.max", "max");
        assert_file(f, "lake/cpu.max", "max 100000");
        assert_file(f, "lake/cpu.weight", "100");
        assert_file(f, "lake/cpu.idle", "0");
}

static void what_has_no_controller_is_left_alone(void **state)
{
        struct fixture *f = *state;
        struct limits limits = all_limits();

        f->tracking.controllers = CONTROLLER_PIDS;
        assert_true(tracking_enforces(&f->tracking, LIMIT_TASKS_MAX));
        assert_false(tracking_enforces(&f->tracking, LIMIT_MEMORY_MAX));
        assert_int_equal(tracked_limit(&f->tracked, &limits), 0);
        assert_file(f, SESSION "/backend/pids.max", "64");
        assert_file(f, SESSION "/backend/memory.max", "");
        assert_file(f, SESSION "/backend/memory.oom.group", "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(limits_are_read_and_told_the_kernel),
                cmocka_unit_test(shares_are_of_the_machine),
                cmocka_unit_test(others_are_refused),
                cmocka_unit_test(controllers_are_whole_words),
                cmocka_unit_test_setup_teardown(a_session_is_limited_at_its_backend, setup, teardown),
                cmocka_unit_test_setup_teardown(groups_are_limited_at_their_folders, setup, teardown),
                cmocka_unit_test_setup_teardown(a_reset_writes_what_the_kernel_begins_with, setup, teardown),
                cmocka_unit_test_setup_teardown(what_has_no_controller_is_left_alone, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
