#include "common/ipc.h"

#include "common/fd.h"

#include <stdio.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define R IPC_R
#define S IPC_S
#define W IPC_W

struct ipc_header {
        uint16_t version;
        uint16_t type;
        uint32_t cookie;
        uint32_t body_size;
        uint32_t blob_size;
};

static const struct {
        const char *name;
        size_t body_size;
        unsigned from, to;
} messages[IPC__MAX] = {
#define IPC(number, NAME, body, from_roles, to_roles) \
        [number] = { .name = #NAME, .body_size = sizeof(struct body), .from = (from_roles), .to = (to_roles) },
#include "common/ipc_messages.def"
#undef IPC
};

/* The largest struct of the table, for the zero-extended copy. */
union ipc_any_body {
#define IPC(number, NAME, body, from_roles, to_roles) struct body NAME;
#include "common/ipc_messages.def"
#undef IPC
};

struct ipc_frame {
        STAILQ_ENTRY(ipc_frame) entry;
        size_t size;
        char bytes[];
};

struct ipc_channel {
        int fd;
        enum ipc_role self;
        unsigned peer;
        struct event *read_event, *write_event, *hangup_event;
        STAILQ_HEAD(, ipc_frame) queue;
        size_t queue_bytes, queue_bytes_max;
        int error;
        bool failed;
        bool *freed; /* set by ipc_channel_free while a handler runs */
        const struct ipc_handlers *handlers;
        void *userdata;
};

/* Frames handled before other sockets get their turn. */
#define FRAMES_PER_TURN 32

const char *ipc_type_to_string(unsigned type)
{
        return type < IPC__MAX && messages[type].name ? messages[type].name : "unknown";
}

static void channel_fail(struct ipc_channel *c, int error)
{
        if (c->failed)
                return;
        c->failed = true;
        c->error = error;
        event_del(c->read_event);
        event_del(c->write_event);
        event_active(c->hangup_event, EV_TIMEOUT, 0);
}

static void on_hangup_event(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct ipc_channel *c = userdata;

        c->handlers->on_hangup(c, c->error, c->userdata);
}

/* Checks a frame against the table; -EBADMSG when it breaks it. */
static int frame_parse(const struct ipc_channel *c, const char *frame, size_t size, union ipc_any_body *body,
                       struct ipc_message *ret)
{
        struct ipc_header h;

        if (size < sizeof(h))
                return -EBADMSG;
        memcpy(&h, frame, sizeof(h));
        if (h.type >= IPC__MAX || !messages[h.type].name)
                return -EBADMSG;
        if (!(messages[h.type].from & c->peer) || !(messages[h.type].to & c->self))
                return -EBADMSG;
        if (h.blob_size > IPC_BLOB_MAX || h.body_size > IPC_FRAME_MAX ||
            size != sizeof(h) + (size_t) h.body_size + h.blob_size)
                return -EBADMSG;

        memset(body, 0, sizeof(*body));
        memcpy(body, frame + sizeof(h), MIN_OF((size_t) h.body_size, messages[h.type].body_size));
        *ret = (struct ipc_message) {
                .type = (enum ipc_type) h.type,
                .cookie = h.cookie,
                .body = body,
                .blob = frame + sizeof(h) + h.body_size,
                .blob_size = h.blob_size,
        };
        return 0;
}

/* One frame from the socket to the handler. 1: handled, 0: nothing there, negative: over. */
static int channel_receive_one(struct ipc_channel *c)
{
        _Alignas(16) char frame[IPC_FRAME_MAX + 1];
        union ipc_any_body body;
        struct ipc_message message;
        ssize_t n = recv(c->fd, frame, sizeof(frame), MSG_DONTWAIT);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -ENODATA;
        int r = frame_parse(c, frame, (size_t) n, &body, &message);

        if (r < 0)
                return r;
        c->handlers->on_message(c, &message, c->userdata);
        return 1;
}

static void on_readable(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct ipc_channel *c = userdata;
        bool freed = false;

        c->freed = &freed;
        for (unsigned i = 0; i < FRAMES_PER_TURN; i++) {
                int r = channel_receive_one(c);

                if (freed)
                        return;
                if (r < 0)
                        channel_fail(c, r == -ENODATA || r == -ECONNRESET ? 0 : r);
                if (r <= 0 || c->failed)
                        break;
        }
        c->freed = NULL;
}

static int frame_send(int fd, const struct ipc_frame *frame)
{
        ssize_t n = send(fd, frame->bytes, frame->size, MSG_DONTWAIT | MSG_NOSIGNAL);

        return n < 0 ? -errno : 0;
}

static bool error_is_transient(int error)
{
        return error == -EAGAIN || error == -EINTR || error == -ENOBUFS || error == -ENOMEM;
}

static void on_writable(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct ipc_channel *c = userdata;
        struct ipc_frame *frame;

        while ((frame = STAILQ_FIRST(&c->queue))) {
                int r = frame_send(c->fd, frame);

                if (r < 0) {
                        if (error_is_transient(r))
                                event_add(c->write_event, NULL);
                        else if (r != -EPIPE && r != -ECONNRESET)
                                channel_fail(c, r);
                        return; /* a peer that is gone: what it still said is read first, then EOF */
                }
                STAILQ_REMOVE_HEAD(&c->queue, entry);
                c->queue_bytes -= frame->size;
                free(frame);
        }
}

int ipc_channel_new(struct event_base *base, int fd_consume, enum ipc_role self, unsigned peer,
                    size_t queue_bytes_max, const struct ipc_handlers *handlers, void *userdata,
                    struct ipc_channel **ret)
{
        _cleanup_fd_ int fd = fd_consume;
        _cleanup_(ipc_channel_freep) struct ipc_channel *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        STAILQ_INIT(&c->queue);
        c->fd = -1;
        int r = fd_nonblock(fd, true);

        if (r < 0)
                return r;
        c->read_event = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
        c->write_event = event_new(base, fd, EV_WRITE, on_writable, c);
        c->hangup_event = event_new(base, -1, 0, on_hangup_event, c);
        if (!c->read_event || !c->write_event || !c->hangup_event || event_add(c->read_event, NULL) < 0)
                return -ENOMEM;
        c->fd = TAKE_FD(fd);
        c->self = self;
        c->peer = peer;
        c->queue_bytes_max = queue_bytes_max;
        c->handlers = handlers;
        c->userdata = userdata;
        *ret = TAKE_PTR(c);
        return 0;
}

struct ipc_channel *ipc_channel_free(struct ipc_channel *c)
{
        if (!c)
                return NULL;
        if (c->freed)
                *c->freed = true;
        struct event *const events[] = { c->read_event, c->write_event, c->hangup_event };

        for (size_t i = 0; i < ELEMENTSOF(events); i++)
                if (events[i])
                        event_free(events[i]);
        for (struct ipc_frame *frame; (frame = STAILQ_FIRST(&c->queue));) {
                STAILQ_REMOVE_HEAD(&c->queue, entry);
                free(frame);
        }
        fd_close(c->fd);
        free(c);
        return NULL;
}

void ipc_channel_set_peer(struct ipc_channel *c, enum ipc_role peer)
{
        c->peer = peer;
}

void ipc_channel_set_userdata(struct ipc_channel *c, void *userdata)
{
        c->userdata = userdata;
}

int ipc_channel_fd(const struct ipc_channel *c)
{
        return c->fd;
}

size_t ipc_channel_queued_bytes(const struct ipc_channel *c)
{
        return c->queue_bytes;
}

int ipc_send(struct ipc_channel *c, enum ipc_type type, uint32_t cookie, const void *body, size_t body_size,
             const void *blob, size_t blob_size)
{
        assert(body_size == messages[type].body_size);
        assert(messages[type].from & c->self);
        if (c->failed)
                return -EPIPE;
        if (blob_size > IPC_BLOB_MAX)
                return -EMSGSIZE;

        struct ipc_header h = {
                .version = IPC_VERSION,
                .type = (uint16_t) type,
                .cookie = cookie,
                .body_size = (uint32_t) body_size,
                .blob_size = (uint32_t) blob_size,
        };
        size_t size = sizeof(h) + body_size + blob_size;
        _cleanup_free_ struct ipc_frame *frame = malloc(sizeof(*frame) + size);

        if (!frame)
                return -ENOMEM;
        frame->size = size;
        memcpy(frame->bytes, &h, sizeof(h));
        memcpy(frame->bytes + sizeof(h), body, body_size);
        if (blob_size)
                memcpy(frame->bytes + sizeof(h) + body_size, blob, blob_size);

        if (STAILQ_EMPTY(&c->queue)) {
                int r = frame_send(c->fd, frame);

                if (r == 0)
                        return 0;
                if (r == -EPIPE || r == -ECONNRESET)
                        return -EPIPE; /* what it still said is read first, then EOF */
                if (!error_is_transient(r)) {
                        channel_fail(c, r);
                        return r;
                }
        }
        if (c->queue_bytes + size > c->queue_bytes_max) {
                channel_fail(c, -ENOBUFS);
                return -ENOBUFS;
        }
        if (STAILQ_EMPTY(&c->queue))
                event_add(c->write_event, NULL);
        c->queue_bytes += size;
        struct ipc_frame *queued = TAKE_PTR(frame);

        STAILQ_INSERT_TAIL(&c->queue, queued, entry);
        return 0;
}

static int address_fill(const char *path, struct sockaddr_un *ret)
{
        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        return STR_COPY(ret->sun_path, path);
}

int ipc_listen(const char *path)
{
        struct sockaddr_un address;
        int r = address_fill(path, &address);

        if (r < 0)
                return r;
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        if (bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        if (chmod(path, 0600) < 0 || listen(fd, SOMAXCONN) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int ipc_connect(const char *path)
{
        struct sockaddr_un address;
        int r = address_fill(path, &address);

        if (r < 0)
                return r;
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

usec_t ipc_reconnect_usec(unsigned attempt)
{
        usec_t base = USEC_PER_MSEC << MIN_OF(attempt, 8u);
        uint32_t random = 0;

        if (base > 250 * USEC_PER_MSEC)
                base = 250 * USEC_PER_MSEC;
        (void) !getrandom(&random, sizeof(random), GRND_NONBLOCK);
        return base / 2 + random % base;
}
