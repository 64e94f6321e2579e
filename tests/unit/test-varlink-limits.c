/* What a client may cost, and what it may do. */
#include "tests/unit/varlink-service.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static void test_huge_message_is_refused(void **state)
{
        static const char wanted[] = "{\"error\":\"org.example.test.BadMessage\","
                                     "\"parameters\":{\"why\":\"the message is too large\"}}";
        char *bytes = malloc(MESSAGE_MAX + 2);

        memset(bytes, ' ', MESSAGE_MAX + 2);
        for (int with_end = 0; with_end < 2; with_end++) {
                int fd = raw_new(*state);

                if (with_end)
                        bytes[MESSAGE_MAX + 1] = '\0';
                raw_send(fd, bytes, MESSAGE_MAX + 2);
                EXPECT(fd, wanted);
                EXPECT(fd, "");
                close(fd);
        }
        free(bytes);
}

static void test_half_message_has_a_deadline(void **state)
{
        int fd = raw_new(*state);

        raw_send(fd, "{\"method\"", 9);
        EXPECT(fd, "{\"error\":\"org.example.test.BadMessage\","
                   "\"parameters\":{\"why\":\"the message was not finished in time\"}}");
        EXPECT(fd, "");
        close(fd);
}

static void test_slow_reader_is_dropped(void **state)
{
        int fd = raw_new(*state);
        char text[4096];
        const char *last;

        SEND(fd, "{\"method\":\"org.example.test.Flood\",\"more\":true}");
        wait_cancelled(*state, 1);
        do
                last = raw_receive(fd, text, sizeof(text));
        while (strstr(last, "\"continues\":true"));
        assert_string_equal(last, "{\"error\":\"org.example.test.TooSlow\","
                                  "\"parameters\":{\"why\":\"the reader of this stream is too slow\"}}");
        EXPECT(fd, "");
        close(fd);
}

static void test_reader_without_progress_is_dropped(void **state)
{
        struct fixture *f = *state;
        int fd = raw_new(f);
        char last = 'x';

        /* More answers than a socket buffer takes, none of them read for longer than write_usec. */
        for (int i = 0; i < 8; i++)
                SEND(fd, "{\"method\":\"org.example.test.Large\",\"parameters\":{\"bytes\":200000}}");
        SEND(fd, "{\"method\":\"org.example.test.Hold\",\"more\":true}");
        /* The peer's end closes by itself: EPOLLHUP needs no reading. */
        for (;;) {
                ssize_t n = send(fd, " ", 1, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno != EAGAIN)
                        break;
                wait_cancelled(f, 0);
        }
        assert_true(errno == EPIPE || errno == ECONNRESET);
        while (recv(fd, &last, 1, 0) > 0)
                ;
        assert_int_not_equal(last, '\0');
        close(fd);
}

static void test_large_replies_are_bounded(void **state)
{
        static const char large[] = "org.example.test.Large";
        _cleanup_(varlink_client_freep) struct varlink_client *client = client_new(*state);
        struct varlink_answer answer;

        assert_int_equal(varlink_client_call(client, large, int_object("bytes", 200000), &answer), 0);
        assert_null(answer.error);
        assert_int_equal(varlink_client_call(client, large, int_object("bytes", 300000), &answer), 0);
        assert_string_equal(answer.error, "org.example.test.ReplyTooLarge");
        assert_int_equal(varlink_client_receive(client, &answer), -ECONNRESET);
}

/* A place is refused only when none is free. */
static void test_too_many_clients(void **state)
{
        struct fixture *f = *state;
        int fds[CLIENTS_MAX], fd;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = raw_new(f);
                SEND(fds[i], "{\"method\":\"org.example.test.Count\"}");
                EXPECT(fds[i], "{\"parameters\":{\"number\":3}}");
        }
        fd = raw_new(f);
        EXPECT(fd, "{\"error\":\"org.example.test.TooManyClients\","
                   "\"parameters\":{\"why\":\"too many clients are connected\"}}");
        EXPECT(fd, "");
        close(fd);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
}

/* What another user sees: reading yes, changing no, and one place fewer. */
static int act_as_stranger(struct fixture *f)
{
        static const char denied[] = "{\"error\":\"org.varlink.service.PermissionDenied\",\"parameters\":{}}";
        static const char full[] = "{\"error\":\"org.example.test.TooManyClients\","
                                   "\"parameters\":{\"why\":\"too many clients are connected\"}}";
        char text[4096];
        int fd = -1;

        if (setuid(65534) < 0)
                return 2;
        for (int i = 0; i < CLIENTS_MAX - 1; i++) {
                fd = raw_new(f);
                SEND(fd, "{\"method\":\"org.example.test.Count\"}");
                if (!streq(raw_receive(fd, text, sizeof(text)), "{\"parameters\":{\"number\":3}}"))
                        return 3;
        }
        SEND(fd, "{\"method\":\"org.example.test.Change\"}");
        if (!streq(raw_receive(fd, text, sizeof(text)), denied))
                return 4;
        fd = raw_new(f);
        return streq(raw_receive(fd, text, sizeof(text)), full) ? 0 : 5;
}

static void test_strangers_only_read(void **state)
{
        struct fixture *f = *state;
        _cleanup_(varlink_client_freep) struct varlink_client *client = client_new(f);
        struct varlink_answer answer;
        int status;
        pid_t pid;

        assert_int_equal(varlink_client_call(client, "org.example.test.Change", NULL, &answer), 0);
        assert_null(answer.error);
        if (geteuid() != 0)
                skip();
        client = varlink_client_free(client);
        wait_cancelled(f, 0);
        assert_int_equal(chmod(f->dir, 0755), 0);
        pid = fork();
        if (pid == 0)
                _exit(act_as_stranger(f));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_SERVICE(test_huge_message_is_refused),
                WITH_SERVICE(test_half_message_has_a_deadline),
                WITH_SERVICE(test_slow_reader_is_dropped),
                WITH_SERVICE(test_reader_without_progress_is_dropped),
                WITH_SERVICE(test_large_replies_are_bounded),
                WITH_SERVICE(test_too_many_clients),
                WITH_SERVICE(test_strangers_only_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
