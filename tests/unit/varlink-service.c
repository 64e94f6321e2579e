#include "tests/unit/varlink-service.h"

#include "common/fd.h"
#include "common/varlink_server.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

/* ---- the service ------------------------------------------------------------------------------- */

struct service {
        struct event_base *base;
        struct event *late_event;
        struct varlink_call *late; /* answered from the loop */
        int n_cancelled;
};

struct json_writer *int_object(const char *name, int64_t value)
{
        static struct json_writer writer;

        json_writer_format(&writer, "{\"%s\":%lld}", name, (long long) value);
        return &writer;
}

static void on_echo(struct varlink_call *call, void *userdata)
{
        struct json_writer answer = { .data = NULL };

        json_writer_format(&answer, "{\"number\":%lld,\"text\":", (long long) varlink_call_int(call, "number", -1));
        json_writer_string(&answer, varlink_call_string(call, "text"));
        json_writer_format(&answer, ",\"flag\":%s}", varlink_call_bool(call, "flag", false) ? "true" : "false");
        varlink_reply(call, &answer);
}

static void on_count(struct varlink_call *call, void *userdata)
{
        int64_t to = varlink_call_int(call, "to", 3);

        for (int64_t i = 1; i < to && varlink_call_wants_more(call); i++)
                assert_int_equal(varlink_reply_continue(call, int_object("number", i)), 0);
        varlink_reply(call, int_object("number", to));
}

static void on_cancel(struct varlink_call *call, void *userdata)
{
        struct service *service = userdata;

        service->n_cancelled++;
        if (service->late == call)
                service->late = NULL;
}

static void on_hold(struct varlink_call *call, void *userdata)
{
        varlink_call_on_cancel(call, on_cancel, userdata);
        varlink_reply_continue(call, NULL);
}

static void on_flood(struct varlink_call *call, void *userdata)
{
        int r = 0;

        varlink_call_on_cancel(call, on_cancel, userdata);
        for (int64_t i = 0; r == 0; i++)
                r = varlink_reply_continue(call, int_object("number", i));
        assert_int_equal(r, -ENOBUFS);
        assert_int_equal(varlink_reply_continue(call, NULL), -EPIPE);
}

static void on_late(struct varlink_call *call, void *userdata)
{
        struct service *service = userdata;

        service->late = call;
        varlink_call_on_cancel(call, on_cancel, userdata);
        event_active(service->late_event, EV_TIMEOUT, 0);
}

static void on_late_event(evutil_socket_t fd, short what, void *userdata)
{
        struct service *service = userdata;

        if (service->late)
                varlink_reply(TAKE_PTR(service->late), int_object("number", 7));
}

static void on_large(struct varlink_call *call, void *userdata)
{
        struct json_writer answer = { .data = NULL };

        json_writer_text(&answer, "{\"text\":\"");
        for (int64_t i = varlink_call_int(call, "bytes", 0); i > 0; i--)
                json_writer_raw(&answer, "x", 1);
        json_writer_text(&answer, "\"}");
        varlink_reply(call, &answer);
}

static void on_cancelled(struct varlink_call *call, void *userdata)
{
        varlink_reply(call, int_object("number", ((struct service *) userdata)->n_cancelled));
}

static void on_change(struct varlink_call *call, void *userdata)
{
        varlink_reply(call, NULL);
}

static const struct varlink_field echo_fields[] = {
        { .name = "text", .type = VARLINK_STRING, .min = 1, .max = 2048 },
        { .name = "number", .type = VARLINK_INT, .is_optional = true, .min = 0, .max = 100 },
        { .name = "flag", .type = VARLINK_BOOL, .is_optional = true },
};
static const struct varlink_field count_fields[] = {
        { .name = "to", .type = VARLINK_INT, .is_optional = true, .min = 1, .max = 1000 },
};
static const struct varlink_field large_fields[] = {
        { .name = "bytes", .type = VARLINK_INT, .min = 1, .max = 10000000 },
};

static const struct varlink_method methods[] = {
        { .name = "Echo", .fields = echo_fields, .n_fields = ELEMENTSOF(echo_fields), .handler = on_echo },
        { .name = "Count", .fields = count_fields, .n_fields = ELEMENTSOF(count_fields), .handler = on_count },
        { .name = "Hold", .flags = VARLINK_NEEDS_MORE, .handler = on_hold },
        { .name = "Flood", .flags = VARLINK_NEEDS_MORE, .handler = on_flood },
        { .name = "Late", .handler = on_late },
        { .name = "Large", .fields = large_fields, .n_fields = ELEMENTSOF(large_fields), .handler = on_large },
        { .name = "Cancelled", .handler = on_cancelled },
        { .name = "Change", .flags = VARLINK_PRIVILEGED, .handler = on_change },
};

static const struct varlink_service service_definition = {
        .vendor = "v", .product = "p", .version = "1", .url = "u",
        .interface = "org.example.test",
        .description = "interface org.example.test\n",
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
        .clients_max = CLIENTS_MAX,
        .clients_reserved = 1,
        .message_bytes_max = MESSAGE_MAX,
        .stream_bytes_max = STREAM_MAX,
        .reply_bytes_max = REPLY_MAX,
        .message_usec = 300 * USEC_PER_MSEC,
        .write_usec = 300 * USEC_PER_MSEC,
};

static void on_sigterm(evutil_socket_t fd, short what, void *userdata)
{
        event_base_loopbreak(userdata);
}

static _noreturn_ void serve(int listen_fd, int ready_fd)
{
        struct service service = { .base = event_base_new() };
        struct event *sigterm = evsignal_new(service.base, SIGTERM, on_sigterm, service.base);
        struct varlink_server *server;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        service.late_event = event_new(service.base, -1, 0, on_late_event, &service);
        event_add(sigterm, NULL);
        if (varlink_server_new(service.base, listen_fd, false, &service_definition, &service, &server) < 0)
                exit(1);
        close(ready_fd);
        event_base_dispatch(service.base);
        varlink_server_free(server);
        event_free(service.late_event);
        event_free(sigterm);
        event_base_free(service.base);
        exit(0);
}

/* ---- clients ----------------------------------------------------------------------------------- */

int service_setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        int fd, ready[2];
        char nothing;

        strcpy(f->dir, "/tmp/test-varlink.XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        snprintf(f->path, sizeof(f->path), "%s/socket", f->dir);
        fd = varlink_listen(f->path);
        assert_true(fd >= 0);
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        f->pid = fork();
        if (f->pid == 0) {
                free(f);
                close(ready[0]);
                serve(fd, ready[1]);
        }
        close(fd);
        close(ready[1]);
        assert_int_equal(read(ready[0], &nothing, 1), 0);
        close(ready[0]);
        *state = f;
        return 0;
}

int service_teardown(void **state)
{
        struct fixture *f = *state;
        int status;

        kill(f->pid, SIGTERM);
        assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
        unlink(f->path);
        rmdir(f->dir);
        free(f);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return 0;
}

struct varlink_client *client_new(struct fixture *f)
{
        struct varlink_client *client;

        assert_int_equal(varlink_client_connect(f->path, &client), 0);
        return client;
}

int raw_new(struct fixture *f)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const struct timeval patience = { .tv_sec = 10 };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        STR_COPY(address.sun_path, f->path);
        assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
        return fd;
}

void raw_send(int fd, const char *text, size_t size)
{
        assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), size);
}

const char *raw_receive(int fd, char *text, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                ssize_t n = recv(fd, text + i, 1, 0);

                if (n <= 0) {
                        assert_true(n == 0 || errno == ECONNRESET);
                        text[i] = '\0';
                        return text;
                }
                if (text[i] == '\0')
                        return text;
        }
        fail_msg("a message longer than %zu bytes", size);
        return NULL;
}

int64_t answer_int(const struct varlink_answer *answer)
{
        struct json_object *value;

        assert_null(answer->error);
        assert_true(json_object_object_get_ex(answer->parameters, "number", &value));
        return json_object_get_int64(value);
}

void wait_cancelled(struct fixture *f, int n)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = client_new(f);
        struct varlink_answer answer;
        usec_t deadline = now_usec() + 10 * USEC_PER_SEC;

        do {
                assert_true(now_usec() < deadline);
                assert_int_equal(varlink_client_call(client, "org.example.test.Cancelled", NULL, &answer), 0);
        } while (answer_int(&answer) != n);
}
