#include "router/link.h"

#include "common/log.h"
#include "router/router.h"

#include <stdio.h>

#define SUPERVISOR_SOCKET "supervisor" /* in the working directory */
#define QUEUE_BYTES_MAX (4 * 1024 * 1024)
#define STATUS_USEC USEC_PER_SEC

static void link_lost(struct link *link, int error);

static struct table *link_table(struct link *link)
{
        return link->incoming ?: link->router->table;
}

static void dump_forget(struct link *link)
{
        link->incoming = table_free(link->incoming);
        servers_done(&link->incoming_servers);
}

static int on_welcome(struct link *link, const struct ipc_message *message)
{
        link->is_welcome = true;
        return 0;
}

/* The first frame of a dump: after WELCOME, and again when the configuration was reloaded. */
static int on_router_config(struct link *link, const struct ipc_message *message)
{
        dump_forget(link);
        int r = table_new(&link->incoming);

        if (r < 0)
                return r;
        return router_configure(link->router, message->body, message->blob, message->blob_size);
}

static int on_server(struct link *link, const struct ipc_message *message)
{
        return servers_put(link->incoming ? &link->incoming_servers : &link->router->servers, message->body);
}

static int on_session(struct link *link, const struct ipc_message *message)
{
        return table_put_session(link_table(link), message->body);
}

static int on_alias(struct link *link, const struct ipc_message *message)
{
        return table_put_alias(link_table(link), message->body);
}

/* A session that ends during a dump is gone from both tables at once. */
static int on_session_gone(struct link *link, const struct ipc_message *message)
{
        const struct ipc_session_gone *gone = message->body;

        if (!IPC_STRING_OK(gone->id))
                return -EBADMSG;
        table_remove(link->router->table, gone->id);
        if (link->incoming)
                table_remove(link->incoming, gone->id);
        return 0;
}

static int on_dump_end(struct link *link, const struct ipc_message *message)
{
        struct router *router = link->router;

        if (!link->incoming)
                return -EBADMSG;
        table_adopt_upstreams(link->incoming, router->table);
        table_free(router->table);
        router->table = TAKE_PTR(link->incoming);
        servers_done(&router->servers);
        router->servers = link->incoming_servers;
        link->incoming_servers = (struct servers) {};
        link->is_ready = true;
        link->n_attempts = 0;
        log_debug("table complete: %zu sessions, %zu servers", table_count(router->table), router->servers.n_items);
        asks_resend(&router->asks);
        router_start_accepting(router);
        link_status_changed(link);
        return 0;
}

static int on_answer(struct link *link, const struct ipc_message *message)
{
        asks_answer(&link->router->asks, message);
        return 0;
}

/* From the loop, like any request: that is what the answer says. */
static int on_ping(struct link *link, const struct ipc_message *message)
{
        struct ipc_empty pong = { 0 };

        return IPC_SEND(link->channel, IPC_PONG, message->cookie, &pong);
}

static int on_drain(struct link *link, const struct ipc_message *message)
{
        const struct ipc_router_drain *drain = message->body;

        router_retire(link->router, drain->drain_usec);
        return 0;
}

static int (*const handlers[IPC__MAX])(struct link *link, const struct ipc_message *message) = {
        [IPC_WELCOME] = on_welcome,
        [IPC_ROUTER_CONFIG] = on_router_config,
        [IPC_SERVER] = on_server,
        [IPC_SESSION] = on_session,
        [IPC_ALIAS] = on_alias,
        [IPC_SESSION_GONE] = on_session_gone,
        [IPC_DUMP_END] = on_dump_end,
        [IPC_RESOLVED] = on_answer,
        [IPC_SESSION_REPLY] = on_answer,
        [IPC_PING] = on_ping,
        [IPC_ROUTER_DRAIN] = on_drain,
};

static void on_message(struct ipc_channel *channel, const struct ipc_message *message, void *userdata)
{
        struct link *link = userdata;
        int r = -EBADMSG;

        if (handlers[message->type] && (link->is_welcome || message->type == IPC_WELCOME))
                r = handlers[message->type](link, message);
        if (r < 0) {
                log_errno(r, "%s of the supervisor", ipc_type_to_string(message->type));
                link_lost(link, r);
        }
}

static void on_hangup(struct ipc_channel *channel, int error, void *userdata)
{
        link_lost(userdata, error);
}

static const struct ipc_handlers channel_handlers = { .on_message = on_message, .on_hangup = on_hangup };

static int link_connect(struct link *link)
{
        struct router *router = link->router;
        struct ipc_hello hello = { .role = IPC_R, .pid = (uint32_t) getpid(), .version = IPC_VERSION };
        int fd = ipc_connect(SUPERVISOR_SOCKET);

        if (fd < 0)
                return fd;
        int r = ipc_channel_new(router->base, fd, IPC_R, IPC_S, QUEUE_BYTES_MAX, &channel_handlers, link,
                                &link->channel);

        if (r < 0)
                return r;
        (void) snprintf(hello.session_id, sizeof(hello.session_id), "%u", router->args.slot);
        STR_COPY(hello.token, router->args.token);
        return IPC_SEND(link->channel, IPC_HELLO, 0, &hello);
}

static void link_retry(struct link *link)
{
        struct timeval tv = usec_to_timeval(ipc_reconnect_usec(link->n_attempts));

        if (link->n_attempts < UINT32_MAX)
                link->n_attempts++;
        event_add(link->connect_timer, &tv);
}

static void link_lost(struct link *link, int error)
{
        if (link->is_welcome)
                log_notice("the supervisor is away%s%s; live sessions are served on", error ? ": " : "",
                           error ? strerror(-error) : "");
        link->channel = ipc_channel_free(link->channel);
        dump_forget(link);
        link->is_welcome = link->is_ready = false;
        asks_disconnected(&link->router->asks);
        link_retry(link);
}

void link_start(struct link *link)
{
        int r = link_connect(link);

        if (r < 0) {
                log_debug("cannot reach the supervisor: %s", strerror(-r));
                link->channel = ipc_channel_free(link->channel);
                link_retry(link);
        }
}

static void on_connect_timer(evutil_socket_t fd, short what, void *userdata)
{
        link_start(userdata);
}

static void on_status_timer(evutil_socket_t fd, short what, void *userdata)
{
        struct link *link = userdata;
        struct ipc_router_status status = link->router->status;

        (void) link_send(link, IPC_ROUTER_STATUS, 0, &status, sizeof(status), NULL, 0);
}

int link_init(struct link *link, struct router *router)
{
        *link = (struct link) { .router = router };
        link->connect_timer = event_new(router->base, -1, 0, on_connect_timer, link);
        link->status_timer = event_new(router->base, -1, 0, on_status_timer, link);
        return link->connect_timer && link->status_timer ? 0 : -ENOMEM;
}

void link_done(struct link *link)
{
        link->channel = ipc_channel_free(link->channel);
        dump_forget(link);
        if (link->connect_timer)
                event_free(link->connect_timer);
        if (link->status_timer)
                event_free(link->status_timer);
        link->connect_timer = link->status_timer = NULL;
}

int link_send(struct link *link, enum ipc_type type, uint32_t cookie, const void *body, size_t body_size,
              const void *blob, size_t blob_size)
{
        if (!link->is_ready)
                return -ENOTCONN;
        return ipc_send(link->channel, type, cookie, body, body_size, blob, blob_size);
}

void link_status_changed(struct link *link)
{
        struct timeval tv = usec_to_timeval(STATUS_USEC);

        if (!event_pending(link->status_timer, EV_TIMEOUT, NULL))
                event_add(link->status_timer, &tv);
}
