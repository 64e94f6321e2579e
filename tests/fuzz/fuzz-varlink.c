/* A Varlink server fed with any bytes, in any pieces: it answers with JSON, or closes, and forgets the
 * connection. The first byte of the input says how large the pieces are. The answers and an event
 * stream made of the same bytes go through the readers of the other end. */
#include "common/json_scan.h"
#include "common/varlink_server.h"
#include "common/event_reader.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CHECK(condition)                 \
        do {                             \
                if (!(condition))        \
                        abort();         \
        } while (0)

static void on_echo(struct varlink_call *call, void *userdata)
{
        struct json_writer answer = { .data = NULL };
        const char *text = varlink_call_string(call, "text");

        if (varlink_call_wants_more(call))
                (void) varlink_reply_continue(call, NULL);
        json_writer_text(&answer, "{\"text\":");
        json_writer_string(&answer, text ? text : "");
        json_writer_format(&answer, ",\"number\":%lld}", (long long) varlink_call_int(call, "number", 0));
        varlink_reply(call, &answer);
}

static void on_cancel(struct varlink_call *call, void *userdata)
{
        --*(int *) userdata;
}

/* Never answers: the connection's end does. */
static void on_hold(struct varlink_call *call, void *userdata)
{
        ++*(int *) userdata;
        varlink_call_on_cancel(call, on_cancel, userdata);
}

static const struct varlink_field echo_fields[] = {
        { .name = "text", .type = VARLINK_STRING, .is_optional = true, .max = 64 },
        { .name = "number", .type = VARLINK_INT, .is_optional = true, .min = -5, .max = 5 },
        { .name = "flag", .type = VARLINK_BOOL, .is_optional = true },
};

static const struct varlink_method methods[] = {
        { .name = "Echo", .fields = echo_fields, .n_fields = ELEMENTSOF(echo_fields), .handler = on_echo },
        { .name = "Hold", .flags = VARLINK_NEEDS_MORE, .handler = on_hold },
};

static const struct varlink_service service = {
        .vendor = "v", .product = "p", .version = "1", .url = "",
        .interface = "a.b",
        .description = "interface a.b\n",
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
        .clients_max = 2,
        .message_bytes_max = 512,
        .stream_bytes_max = 4096,
        .reply_bytes_max = 4096,
        .message_usec = USEC_INFINITY / 2,
        .write_usec = USEC_INFINITY / 2,
};

/* A connection to a listening socket that has no name in the file system. */
static int connect_to(int listen_fd)
{
        struct sockaddr_un address;
        socklen_t size = sizeof(address);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        CHECK(fd >= 0 && getsockname(listen_fd, (struct sockaddr *) &address, &size) == 0);
        CHECK(connect(fd, (struct sockaddr *) &address, size) == 0);
        return fd;
}

static int listen_anywhere(void)
{
        const struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        CHECK(fd >= 0 && bind(fd, (const struct sockaddr *) &address, sizeof(address.sun_family)) == 0);
        CHECK(listen(fd, 4) == 0);
        return fd;
}

static void turn(struct event_base *base)
{
        for (int i = 0; i < 4; i++)
                event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Everything the server said so far; each whole message must be JSON. */
static void take_answers(int fd, struct json_writer *answers)
{
        char bytes[1024];
        ssize_t n;

        while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
                json_writer_raw(answers, bytes, (size_t) n);
        for (size_t at = 0; at < answers->size;) {
                const char *end = memchr(answers->data + at, '\0', answers->size - at);
                struct json_slice message;

                if (!end)
                        break;
                CHECK(json_validate(answers->data + at, (size_t) (end - answers->data) - at, &message) >= 0);
                at = (size_t) (end - answers->data) + 1;
        }
}

static bool on_event(const char *data, size_t size, void *userdata)
{
        return size > 100 && data[0] == '{';
}

static void feed_stream(const char *bytes, size_t size, size_t step)
{
        struct event_reader reader = { .after_cr = false };

        for (size_t at = 0; at < size; at += step)
                if (event_reader_feed(&reader, bytes + at, MIN_OF(step, size - at), on_event, NULL) != 0)
                        break;
        event_reader_done(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct event_base *base = event_base_new();
        struct json_writer answers = { .data = NULL };
        struct varlink_server *server;
        int n_held = 0, fd, listen_fd = listen_anywhere();
        size_t step = size > 0 ? data[0] + 1u : 1;

        CHECK(base && varlink_server_new(base, listen_fd, false, &service, &n_held, &server) >= 0);
        fd = connect_to(listen_fd);
        for (size_t at = 1; at < size; at += step) {
                if (send(fd, data + at, MIN_OF(step, size - at), MSG_NOSIGNAL) < 0)
                        break;
                turn(base);
                take_answers(fd, &answers);
        }
        shutdown(fd, SHUT_WR);
        turn(base);
        take_answers(fd, &answers);
        CHECK(n_held == 0);
        close(fd);
        json_writer_done(&answers);
        varlink_server_free(server);
        event_base_free(base);
        if (size > 1)
                feed_stream((const char *) data + 1, size - 1, step);
        return 0;
}
