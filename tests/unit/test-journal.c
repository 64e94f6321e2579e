/* The writer of the journal's native protocol, against a socket that plays the journal. */
#include "common/journal.h"

#include "common/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

struct fixture {
        char folder[64], path[96];
        int journal_fd; /* -1: nobody listens */
        struct journal *journal;
};

static int listen_at(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        assert_int_equal(STR_COPY(address.sun_path, path), 0);
        assert_int_equal(bind(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
        return fd;
}

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        (void) snprintf(f->folder, sizeof(f->folder), "/tmp/envmux-journal-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        (void) snprintf(f->path, sizeof(f->path), "%s/socket", f->folder);
        f->journal_fd = listen_at(f->path);
        assert_int_equal(journal_new(f->path, "test", &f->journal), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        journal_free(f->journal);
        fd_close(f->journal_fd);
        (void) unlink(f->path);
        (void) rmdir(f->folder);
        free(f);
        return 0;
}

static int send_text(struct fixture *f, const char *text)
{
        const struct journal_field fields[] = { journal_text("MESSAGE", text), journal_text("PRIORITY", "6") };

        return journal_send(f->journal, fields, ELEMENTSOF(fields));
}

/* The next entry; 0: there is none. */
static size_t receive(const struct fixture *f, char *buf, size_t size)
{
        ssize_t n = recv(f->journal_fd, buf, size - 1, MSG_DONTWAIT);

        buf[MAX_OF(n, 0)] = '\0';
        return (size_t) MAX_OF(n, 0);
}

static void test_an_entry_is_one_datagram(void **state)
{
        const struct journal_field fields[] = {
                journal_text("MESSAGE", "all is well"), journal_text("ENVMUX_SESSION", NULL), journal_text("PRIORITY", "5"),
        };
        struct fixture *f = *state;
        char buf[256];

        assert_int_equal(journal_send(f->journal, fields, ELEMENTSOF(fields)), 0);
        receive(f, buf, sizeof(buf));
        assert_string_equal(buf, "MESSAGE=all is well\nPRIORITY=5\n");
}

static void test_line_breaks_forge_no_field(void **state)
{
        static const char expected[] = "MESSAGE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n";
        const struct journal_field field = journal_text("MESSAGE", "a\nPRIORITY=0");
        struct fixture *f = *state;
        char buf[256];

        assert_int_equal(journal_send(f->journal, &field, 1), 0);
        assert_int_equal(receive(f, buf, sizeof(buf)), sizeof(expected) - 1);
        assert_memory_equal(buf, expected, sizeof(expected) - 1);
}

static void test_a_journal_that_does_not_read_is_not_waited_for(void **state)
{
        struct fixture *f = *state;
        unsigned n_sent = 0, n_lost = 3;
        char buf[256], lost[96];

        while (send_text(f, "one of many") == 0)
                n_sent++;
        for (unsigned i = 1; i < n_lost; i++)
                assert_true(send_text(f, "one too many") < 0);
        assert_int_equal(journal_lost(f->journal), n_lost);
        for (unsigned i = 0; i < n_sent; i++)
                assert_true(receive(f, buf, sizeof(buf)) > 0);
        assert_int_equal(receive(f, buf, sizeof(buf)), 0);

        /* What was lost is told before what comes next, and once. */
        (void) snprintf(lost, sizeof(lost), "MESSAGE=%u entries were lost on their way to the journal\nPRIORITY=4\n",
                        n_lost);
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(send_text(f, "again"), 0);
                if (i == 0) {
                        receive(f, buf, sizeof(buf));
                        assert_memory_equal(buf, lost, strlen(lost));
                }
                receive(f, buf, sizeof(buf));
                assert_string_equal(buf, "MESSAGE=again\nPRIORITY=6\n");
        }
        assert_int_equal(journal_lost(f->journal), n_lost);
}

static void test_the_next_journal_is_found(void **state)
{
        struct fixture *f = *state;
        char buf[256];

        f->journal_fd = fd_close(f->journal_fd);
        assert_true(send_text(f, "to nobody") < 0);
        (void) unlink(f->path);
        assert_true(send_text(f, "to nobody") < 0);
        f->journal_fd = listen_at(f->path);
        assert_int_equal(send_text(f, "hello"), 0);
        receive(f, buf, sizeof(buf));
        assert_non_null(strstr(buf, "2 entries were lost"));
        receive(f, buf, sizeof(buf));
        assert_string_equal(buf, "MESSAGE=hello\nPRIORITY=6\n");
}

static void test_priorities_are_those_of_sd_daemon(void **state)
{
        static const struct {
                const char *line, *text;
                int priority;
        } cases[] = {
                { "<0>out of order", "out of order", 0 }, { "<7>", "", 7 },         { "plain", "plain", 6 },
                { "<8>is none", "<8>is none", 6 },        { "<3", "<3", 6 },        { "", "", 6 },
                { "< 3>text", "< 3>text", 6 },            { "<33>x", "<33>x", 6 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *text = cases[i].line;
                size_t size = strlen(text);

                assert_int_equal(journal_priority(&text, &size, 6), cases[i].priority);
                assert_string_equal(text, cases[i].text);
                assert_int_equal(size, strlen(cases[i].text));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_an_entry_is_one_datagram, setup, teardown),
                cmocka_unit_test_setup_teardown(test_line_breaks_forge_no_field, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_journal_that_does_not_read_is_not_waited_for, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_next_journal_is_found, setup, teardown),
                cmocka_unit_test(test_priorities_are_those_of_sd_daemon),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
