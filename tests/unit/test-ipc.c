#include "common/ipc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

struct side {
        unsigned n_messages, n_hangups;
        int error;
        struct ipc_resolve last;
        size_t blob_size;
        struct event_base *base;
};

static void on_message(struct ipc_channel *channel, const struct ipc_message *m, void *userdata)
{
        struct side *side = userdata;

        side->n_messages++;
        if (m->type == IPC_RESOLVE)
                side->last = *(const struct ipc_resolve *) m->body;
        side->blob_size = m->blob_size;
}

static void on_hangup(struct ipc_channel *channel, int error, void *userdata)
{
        struct side *side = userdata;

        side->n_hangups++;
        side->error = error;
        event_base_loopbreak(side->base);
}

static const struct ipc_handlers handlers = { .on_message = on_message, .on_hangup = on_hangup };

struct fixture {
        struct event_base *base;
        struct side supervisor, router;
        struct ipc_channel *at_supervisor;
        int router_fd;
};

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        f->base = event_base_new();
        f->supervisor.base = f->router.base = f->base;
        assert_int_equal(ipc_channel_new(f->base, fds[0], IPC_S, IPC_R, 1 << 20, &handlers, &f->supervisor,
                                         &f->at_supervisor), 0);
        f->router_fd = fds[1];
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        ipc_channel_free(f->at_supervisor);
        if (f->router_fd >= 0)
                close(f->router_fd);
        event_base_free(f->base);
        free(f);
        return 0;
}

static void test_frame_travels_with_blob(void **state)
{
        struct fixture *f = *state;
        struct ipc_channel *router;
        struct ipc_resolve resolve = { .kind = KEY_NAMED, .may_create = 1, .seed = -7, .server = "lake" };

        assert_int_equal(ipc_channel_new(f->base, f->router_fd, IPC_R, IPC_S, 1 << 20, &handlers, &f->router, &router), 0);
        f->router_fd = -1;
        assert_int_equal(ipc_send(router, IPC_RESOLVE, 9, &resolve, sizeof(resolve), "blob", 4), 0);
        event_base_loop(f->base, EVLOOP_ONCE);
        assert_int_equal(f->supervisor.n_messages, 1);
        assert_int_equal(f->supervisor.last.seed, -7);
        assert_string_equal(f->supervisor.last.server, "lake");
        assert_int_equal(f->supervisor.blob_size, 4);
        ipc_channel_free(router);
}

/* An older peer knows fewer members: what it does not send reads as zero. */
static void test_short_struct_is_zero_extended(void **state)
{
        struct fixture *f = *state;
        struct {
                uint16_t version, type;
                uint32_t cookie, body_size, blob_size;
                char server[IPC_SERVER_SIZE];
        } old = { .version = 1, .type = IPC_RESOLVE, .body_size = IPC_SERVER_SIZE, .server = "old" };

        f->supervisor.last.seed = 99;
        assert_int_equal(send(f->router_fd, &old, sizeof(old), 0), sizeof(old));
        event_base_loop(f->base, EVLOOP_ONCE);
        assert_int_equal(f->supervisor.n_messages, 1);
        assert_string_equal(f->supervisor.last.server, "old");
        assert_int_equal(f->supervisor.last.seed, 0);
}

static void expect_bad_frame(struct fixture *f, const void *frame, size_t size)
{
        assert_int_equal(send(f->router_fd, frame, size, 0), size);
        event_base_dispatch(f->base);
        assert_int_equal(f->supervisor.n_messages, 0);
        assert_int_equal(f->supervisor.n_hangups, 1);
        assert_int_equal(f->supervisor.error, -EBADMSG);
}

static void test_wrong_direction_is_refused(void **state)
{
        struct {
                uint16_t version, type;
                uint32_t cookie, body_size, blob_size;
        } frame = { .version = 1, .type = IPC_STOP };

        expect_bad_frame(*state, &frame, sizeof(frame));
}

static void test_lying_sizes_are_refused(void **state)
{
        struct {
                uint16_t version, type;
                uint32_t cookie, body_size, blob_size;
        } frame = { .version = 1, .type = IPC_RESOLVE, .body_size = UINT32_MAX, .blob_size = 12 };

        expect_bad_frame(*state, &frame, sizeof(frame));
}

static void test_eof_is_a_hangup_after_the_last_frame(void **state)
{
        struct fixture *f = *state;
        struct {
                uint16_t version, type;
                uint32_t cookie, body_size, blob_size;
        } frame = { .version = 1, .type = IPC_RESOLVE };

        assert_int_equal(send(f->router_fd, &frame, sizeof(frame), 0), sizeof(frame));
        close(f->router_fd);
        f->router_fd = -1;
        event_base_dispatch(f->base);
        assert_int_equal(f->supervisor.n_messages, 1);
        assert_int_equal(f->supervisor.n_hangups, 1);
        assert_int_equal(f->supervisor.error, 0);
}

/* A peer that does not read costs queue_bytes_max at most, then its connection. */
static void test_slow_peer_is_bounded(void **state)
{
        struct fixture *f = *state;
        struct ipc_session session = { .id = "s" };
        int r = 0;

        for (unsigned i = 0; r == 0 && i < 100000; i++)
                r = IPC_SEND(f->at_supervisor, IPC_SESSION, 0, &session);
        assert_int_equal(r, -ENOBUFS);
        event_base_dispatch(f->base);
        assert_int_equal(f->supervisor.n_hangups, 1);
        assert_int_equal(f->supervisor.error, -ENOBUFS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_frame_travels_with_blob, setup, teardown),
                cmocka_unit_test_setup_teardown(test_short_struct_is_zero_extended, setup, teardown),
                cmocka_unit_test_setup_teardown(test_wrong_direction_is_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lying_sizes_are_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_eof_is_a_hangup_after_the_last_frame, setup, teardown),
                cmocka_unit_test_setup_teardown(test_slow_peer_is_bounded, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
