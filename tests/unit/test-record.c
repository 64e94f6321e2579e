#include "common/fd.h"
#include "supervisor/record.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static char folder[64];
static int dir_fd;

static int setup(void **state)
{
        (void) snprintf(folder, sizeof(folder), "/tmp/envmux-test-record.XXXXXX");
        assert_non_null(mkdtemp(folder));
        dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir_fd < 0;
}

static int teardown(void **state)
{
        close(dir_fd);
        return fd_remove_tree_at(AT_FDCWD, folder);
}

static void test_what_is_written_comes_back(void **state)
{
        struct record record = {
                .id = "0123456789abcdef", .server = "lake", .principal = "", .key = "row \"1\"/\\x",
                .kind = KEY_NAMED, .generation = 3, .token = "secret", .created_usec = UINT64_C(1790000000123456),
                .has_seed = true, .seed = INT64_MIN, .idle_usec = USEC_INFINITY, .lifetime_usec = 5,
                .labels = (char[]) { "{\"run\":\"é\"}" }, .config = (char[]) { "{\"size\":4, \"p\":0.80}" }, .is_put = true, .body_digest = "beef",
                .revive = (char[]) { "{\"clients\":[{\"id\":\"\\u00e9\"}]}" }, .aliases = (char[]) { "[[2,\"t\"]]" },
                .dormant_usec = UINT64_MAX, .has_uid = true, .is_uid_dynamic = true, .uid = 1879048193,
                .user = (char[]) { "1879048193" },
        };
        struct record back;

        assert_int_equal(record_write(dir_fd, &record), 0);
        assert_int_equal(record_read(dir_fd, record.id, &back), 0);
        assert_string_equal(back.key, record.key);
        assert_string_equal(back.token, "secret");
        assert_int_equal(back.seed, INT64_MIN);
        assert_true(back.has_seed);
        assert_true(back.idle_usec == USEC_INFINITY);
        assert_int_equal(back.created_usec, record.created_usec);
        assert_string_equal(back.labels, record.labels);
        assert_string_equal(back.config, record.config);
        assert_null(back.definition_hash);
        assert_true(back.is_put);
        assert_string_equal(back.revive, record.revive);
        assert_string_equal(back.aliases, record.aliases);
        assert_true(back.dormant_usec == UINT64_MAX);
        assert_true(back.has_uid && back.is_uid_dynamic && back.uid == 1879048193);
        assert_string_equal(back.user, record.user);
        record_done(&back);
}

static void test_seed_zero_is_a_seed(void **state)
{
        struct record with = { .id = "a", .has_seed = true }, without = { .id = "b" }, back;

        assert_int_equal(record_write(dir_fd, &with), 0);
        assert_int_equal(record_write(dir_fd, &without), 0);
        assert_int_equal(record_read(dir_fd, "a", &back), 0);
        assert_true(back.has_seed);
        record_done(&back);
        assert_int_equal(record_read(dir_fd, "b", &back), 0);
        assert_false(back.has_seed);
        record_done(&back);
}

static void test_foreign_files_are_refused(void **state)
{
        static const char *const texts[] = { "", "{", "[]", "{\"id\":\"x\"}", "{\"kind\":1,\"generation\":1,\"id\":\"other\"}" };
        struct record back;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                assert_int_equal(fd_write_file_atomic_at(dir_fd, "x", texts[i], strlen(texts[i]), 0600), 0);
                assert_int_equal(record_read(dir_fd, "x", &back), -EBADMSG);
        }
        assert_int_equal(record_read(dir_fd, "none", &back), -ENOENT);
}

static int count(const char *id, void *userdata)
{
        (*(unsigned *) userdata)++;
        return 0;
}

static void test_list_and_remove(void **state)
{
        struct record record = { .id = "a" };
        unsigned n = 0;

        assert_int_equal(record_write(dir_fd, &record), 0);
        assert_int_equal(record_list(dir_fd, count, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(record_remove(dir_fd, "a"), 0);
        assert_int_equal(record_remove(dir_fd, "a"), 0);
        assert_int_equal(record_list(dir_fd, count, &n), 0);
        assert_int_equal(n, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_what_is_written_comes_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_seed_zero_is_a_seed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_foreign_files_are_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_list_and_remove, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
