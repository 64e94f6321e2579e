/* Who was killed for want of memory, and by whose limit; and what a backend uses. Plain files stand in for the
 * kernel's. */
#include "supervisor/usage.h"
#include "worker/memory.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#define BACKEND "lake/alice/0123/backend"

struct fixture {
        char root[64];
        int root_fd;
};

static void write_file(const struct fixture *f, const char *path, const char *text)
{
        int fd = openat(f->root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

static void write_events(const struct fixture *f, const char *path, unsigned oom, unsigned oom_kill)
{
        char text[128];

        snprintf(text, sizeof(text), "low 0\nhigh 0\nmax 7\noom %u\noom_kill %u\noom_group_kill 0\n", oom, oom_kill);
        write_file(f, path, text);
}

static int setup(void **state)
{
        static const char *const folders[] = { "lake", "lake/alice", "lake/alice/0123", BACKEND };
        struct fixture *f = calloc(1, sizeof(*f));

        STR_COPY(f->root, "/tmp/envmux-test-memory-XXXXXX");
        assert_non_null(mkdtemp(f->root));
        f->root_fd = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < ELEMENTSOF(folders); i++)
                assert_int_equal(mkdirat(f->root_fd, folders[i], 0700), 0);
        /* What happened to others before. */
        write_events(f, BACKEND "/memory.events", 0, 0);
        write_events(f, "lake/alice/memory.events.local", 3, 3);
        write_events(f, "lake/memory.events.local", 5, 5);
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

        close(f->root_fd);
        nftw(f->root, on_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(f);
        return 0;
}

static struct memory *watch(const struct fixture *f, const char *limit)
{
        struct memory *memory;

        assert_int_equal(memory_new(openat(f->root_fd, BACKEND, O_RDONLY | O_DIRECTORY | O_CLOEXEC), limit, &memory), 0);
        return memory;
}

static void assert_says(struct memory *memory, const char *expected)
{
        const char *text = NULL;

        assert_true(memory_was_short(memory, &text));
        assert_string_equal(text, expected);
        memory_free(memory);
}

static void nothing_is_said_of_what_happened_to_others(void **state)
{
        struct fixture *f = *state;
        struct memory *memory = watch(f, "512M");
        const char *text;

        assert_false(memory_was_short(memory, &text));
        write_events(f, "lake/alice/memory.events.local", 4, 4);
        assert_false(memory_was_short(memory, &text));
        memory_free(memory);
}

static void its_own_limit_is_told_as_configured(void **state)
{
        struct fixture *f = *state;
        struct memory *memory = watch(f, "512M");

        write_events(f, BACKEND "/memory.events", 1, 4);
        assert_says(memory, "out of memory (limit 512M)");
}

static void the_nearest_limit_that_was_hit_is_told(void **state)
{
        struct fixture *f = *state;
        struct memory *memory = watch(f, "512M");

        write_events(f, BACKEND "/memory.events", 0, 1);
        write_events(f, "lake/alice/memory.events.local", 4, 4);
        assert_says(memory, "out of memory (limit of its user)");
        memory = watch(f, "512M");
        write_events(f, "lake/memory.events.local", 6, 6);
        assert_says(memory, "out of memory (limit of its server)");
        memory = watch(f, NULL);
        assert_says(memory, "out of memory (limit of the machine)");
}

static void without_a_cgroup_nothing_is_known(void **state)
{
        struct memory *memory;
        const char *text;

        assert_int_equal(memory_new(-1, "512M", &memory), 0);
        assert_false(memory_was_short(memory, &text));
        memory_free(memory);
        assert_int_equal(memory_new(open("/dev/null", O_RDONLY | O_CLOEXEC), NULL, &memory), 0);
        assert_false(memory_was_short(memory, &text));
        memory_free(memory);
}

/* ---- usage ------------------------------------------------------------------------------------------ */

static void assert_usage(const struct fixture *f, const char *expected)
{
        struct json_writer w = { .failed = false };
        _cleanup_free_ char *text = NULL;
        struct usage usage;
        size_t size;

        assert_int_equal(usage_read(f->root_fd, BACKEND, &usage), 0);
        usage_write(&usage, &w);
        assert_int_equal(json_writer_finish(&w, &text, &size), 0);
        assert_string_equal(text, expected);
}

static void usage_is_what_the_files_say(void **state)
{
        struct fixture *f = *state;
        struct usage usage;

        assert_usage(f, "{}");
        write_file(f, BACKEND "/cpu.pressure", "some avg10=12.05 avg60=0.00 avg300=0.00 total=9\n"
                                               "full avg10=0.40 avg60=0.00 avg300=0.00 total=9\n");
        write_file(f, BACKEND "/io.pressure", "some avg10=100.00 avg60=0.00 avg300=0.00 total=9\n");
        assert_usage(f, "{\"pressure\":{\"cpu\":{\"some\":12.05,\"full\":0.40},\"io\":{\"some\":100.00}}}");
        write_file(f, BACKEND "/cpu.pressure", "");
        write_file(f, BACKEND "/io.pressure", "");
        write_file(f, BACKEND "/memory.current", "4096\n");
        write_file(f, BACKEND "/memory.peak", "8192\n");
        write_file(f, BACKEND "/pids.current", "3\n");
        write_file(f, BACKEND "/cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n");
        assert_usage(f, "{\"memory_bytes\":4096,\"memory_peak_bytes\":8192,\"cpu_usec\":1500,\"tasks\":3}");
        assert_int_equal(usage_read(f->root_fd, "lake/bob", &usage), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(nothing_is_said_of_what_happened_to_others, setup, teardown),
                cmocka_unit_test_setup_teardown(its_own_limit_is_told_as_configured, setup, teardown),
                cmocka_unit_test_setup_teardown(the_nearest_limit_that_was_hit_is_told, setup, teardown),
                cmocka_unit_test(without_a_cgroup_nothing_is_known),
                cmocka_unit_test_setup_teardown(usage_is_what_the_files_say, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
