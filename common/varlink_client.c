#include "common/varlink_client.h"

#include "common/fd.h"

#include <json-c/json.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ANSWER_BYTES_MAX (64 * 1024 * 1024)
#define READ_SIZE (64 * 1024)
#define TIMEOUT_USEC (30 * USEC_PER_SEC)

struct varlink_client {
        int fd;
        usec_t timeout_usec;
        char *in;             /* bytes received, the current message first */
        size_t size, allocated;
        size_t used;          /* of these, the message returned last and its NUL */
        struct json_object *answer;
};

struct varlink_client *varlink_client_free(struct varlink_client *client)
{
        if (!client)
                return NULL;
        fd_close(client->fd);
        json_object_put(client->answer);
        free(client->in);
        free(client);
        return NULL;
}

int varlink_client_connect(const char *path, struct varlink_client **ret)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(varlink_client_freep) struct varlink_client *client = calloc(1, sizeof(*client));

        if (!client)
                return -ENOMEM;
        *client = (struct varlink_client) { .fd = -1, .timeout_usec = TIMEOUT_USEC, .in = malloc(READ_SIZE),
                                            .allocated = READ_SIZE };
        if (!client->in)
                return -ENOMEM;
        if (STR_COPY(address.sun_path, path) < 0)
                return -ENAMETOOLONG;
        client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (client->fd < 0 || connect(client->fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        *ret = TAKE_PTR(client);
        return 0;
}

void varlink_client_set_timeout(struct varlink_client *client, usec_t timeout_usec)
{
        client->timeout_usec = timeout_usec;
}

static int send_all(int fd, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t) n;
        }
        return 0;
}

int varlink_client_send(struct varlink_client *client, const char *method, struct json_writer *parameters,
                        unsigned flags)
{
        struct json_writer message = { .data = NULL };
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        json_writer_text(&message, "{\"method\":");
        json_writer_string(&message, method);
        if (parameters) {
                json_writer_text(&message, ",\"parameters\":");
                json_writer_raw(&message, parameters->data, parameters->size);
                message.failed = message.failed || parameters->failed;
                json_writer_done(parameters);
        }
        if (flags & VARLINK_MORE)
                json_writer_text(&message, ",\"more\":true");
        if (flags & VARLINK_ONEWAY)
                json_writer_text(&message, ",\"oneway\":true");
        json_writer_text(&message, "}");
        r = json_writer_finish(&message, &text, &size);
        return r < 0 ? r : send_all(client->fd, text, size + 1);
}

/* Waits for bytes and appends them. */
static int receive_more(struct varlink_client *client, usec_t deadline)
{
        usec_t left = deadline == USEC_INFINITY ? USEC_INFINITY : usec_until(deadline);
        struct pollfd poller = { .fd = client->fd, .events = POLLIN };
        ssize_t n;
        int r;

        if (client->allocated - client->size < READ_SIZE) {
                char *grown = realloc(client->in, 2 * client->allocated + READ_SIZE);

                if (!grown)
                        return -ENOMEM;
                client->in = grown;
                client->allocated = 2 * client->allocated + READ_SIZE;
        }
        r = poll(&poller, 1, left == USEC_INFINITY ? -1 : (int) MIN_OF(left / USEC_PER_MSEC + 1, (usec_t) INT_MAX));
        if (r == 0)
                return -ETIMEDOUT;
        n = r < 0 ? -1 : recv(client->fd, client->in + client->size, READ_SIZE, 0);
        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -ECONNRESET;
        client->size += (size_t) n;
        return 0;
}

/* Finds the next message: *ret_size bytes at client->in. */
static int receive_message(struct varlink_client *client, size_t *ret_size)
{
        usec_t deadline = client->timeout_usec == USEC_INFINITY ? USEC_INFINITY
                                                                : usec_add(now_usec(), client->timeout_usec);
        size_t scanned = 0;

        client->size -= client->used;
        memmove(client->in, client->in + client->used, client->size);
        client->used = 0;
        for (;;) {
                const char *end = memchr(client->in + scanned, '\0', client->size - scanned);
                int r;

                if (end) {
                        *ret_size = (size_t) (end - client->in);
                        client->used = *ret_size + 1;
                        return 0;
                }
                scanned = client->size;
                if (client->size > ANSWER_BYTES_MAX)
                        return -EMSGSIZE;
                r = receive_more(client, deadline);
                if (r < 0)
                        return r;
        }
}

/* The parameters verbatim: varlink_parse has found the message to be JSON, json_validate is stricter. */
static int find_text(const char *message, size_t size, struct json_slice *ret)
{
        struct json_slice whole;
        int r = json_validate(message, size, &whole);

        if (r < 0)
                return -EBADMSG;
        if (json_get(whole, "parameters", ret) < 0 || ret->data[0] != '{')
                *ret = (struct json_slice) { .data = "{}", .size = 2 };
        return 0;
}

int varlink_client_receive(struct varlink_client *client, struct varlink_answer *ret)
{
        struct json_object *error = NULL, *parameters = NULL, *continues = NULL;
        struct json_slice text;
        size_t size;
        int r;

        r = receive_message(client, &size);
        if (r < 0)
                return r;
        json_object_put(TAKE_PTR(client->answer));
        r = varlink_parse(client->in, size, &client->answer, NULL);
        if (r >= 0)
                r = find_text(client->in, size, &text);
        if (r < 0)
                return r;
        (void) json_object_object_get_ex(client->answer, "error", &error);
        (void) json_object_object_get_ex(client->answer, "continues", &continues);
        if (!json_object_object_get_ex(client->answer, "parameters", &parameters) || !parameters) {
                parameters = json_object_new_object();
                json_object_object_add(client->answer, "parameters", parameters);
        }
        if (!json_object_is_type(parameters, json_type_object) ||
            (error && !json_object_is_type(error, json_type_string)))
                return -EBADMSG;
        *ret = (struct varlink_answer) {
                .error = error ? json_object_get_string(error) : NULL,
                .parameters = parameters,
                .text = text,
                .continues = json_object_get_boolean(continues),
        };
        return 0;
}

int varlink_client_call(struct varlink_client *client, const char *method, struct json_writer *parameters,
                        struct varlink_answer *ret)
{
        int r = varlink_client_send(client, method, parameters, 0);

        /* A service that turns a client away says why before it closes. */
        if (r < 0 && r != -EPIPE && r != -ECONNRESET)
                return r;
        return varlink_client_receive(client, ret);
}
