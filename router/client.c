#include "router/client.h"

#include "common/log.h"
#include "router/router.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define CLIENTS_DEFAULT 4096
#define HALF_OPEN_SEC 60 /* a client whose machine or network is gone is noticed after this */
#define HEAD_USEC (15 * USEC_PER_SEC)
#define BODY_USEC (60 * USEC_PER_SEC)
#define WRITE_USEC (60 * USEC_PER_SEC)
#define IDLE_USEC (75 * USEC_PER_SEC)

/* At the limit, with nobody idle to give way, newcomers wait in the kernel's queue, which other
 * routers serve too. */
static void clients_admit(struct clients *all)
{
        bool is_full = all->n_clients >= all->n_max && TAILQ_EMPTY(&all->idle);

        if (is_full == all->is_full)
                return;
        all->is_full = is_full;
        for (unsigned i = 0; i < all->n_listeners; i++)
                if (is_full)
                        http_listener_pause(all->listeners[i]);
                else
                        http_listener_resume(all->listeners[i]);
}

static void client_free(struct client *c)
{
        struct clients *all = c->clients;

        TAILQ_REMOVE(c->is_busy ? &all->busy : &all->idle, c, entry);
        exchange_abandon(&c->exchange);
        http_conn_free(c->http);
        free(c);
        all->n_clients--;
        router_count_client(all->router, all->n_clients);
        clients_admit(all);
}

static void on_head(struct http_conn *http, const struct http_head *head, void *userdata)
{
        struct client *c = userdata;

        exchange_on_head(&c->exchange, head);
}

static void on_body(struct http_conn *http, const void *data, size_t size, void *userdata)
{
        struct client *c = userdata;

        exchange_on_body(&c->exchange, data, size);
}

static void on_end(struct http_conn *http, void *userdata)
{
        struct client *c = userdata;

        exchange_on_end(&c->exchange);
}

static void on_drained(struct http_conn *http, void *userdata)
{
        struct client *c = userdata;

        exchange_on_drained(&c->exchange);
}

static void on_error(struct http_conn *http, unsigned status, const char *why, void *userdata)
{
        struct client *c = userdata;

        exchange_on_error(&c->exchange, status, why);
}

static void on_close(struct http_conn *http, int error, void *userdata)
{
        client_free(userdata);
}

static const struct http_conn_ops client_ops = {
        .on_head = on_head,
        .on_body = on_body,
        .on_end = on_end,
        .on_drained = on_drained,
        .on_error = on_error,
        .on_close = on_close,
};

void client_set_busy(struct exchange *e, bool is_busy)
{
        struct client *c = (struct client *) ((char *) e - offsetof(struct client, exchange));
        struct clients *all = c->clients;

        if (c->is_busy == is_busy)
                return;
        TAILQ_REMOVE(c->is_busy ? &all->busy : &all->idle, c, entry);
        c->is_busy = is_busy;
        TAILQ_INSERT_TAIL(is_busy ? &all->busy : &all->idle, c, entry);
        clients_admit(all);
}

static int client_new(struct clients *all, int fd)
{
        struct client *c = calloc(1, sizeof(*c));

        if (!c) {
                close(fd);
                return -ENOMEM;
        }
        int r = http_conn_new(all->router->base, fd, HTTP_SERVER, &all->limits, &client_ops, c, &c->http);

        if (r < 0) {
                free(c);
                return r;
        }
        c->clients = all;
        exchange_init(&c->exchange, all->router, c->http);
        TAILQ_INSERT_TAIL(&all->idle, c, entry);
        router_count_client(all->router, ++all->n_clients);
        return 0;
}

/* The longest idle connection; one whose last answer has left the process, if there is any. */
static struct client *client_dispensable(struct clients *all)
{
        struct client *c;

        TAILQ_FOREACH(c, &all->idle, entry)
                if (http_conn_pending_bytes(c->http) == 0)
                        return c;
        return TAILQ_FIRST(&all->idle);
}

/* At the limit the longest idle connection gives way. */
static void on_accept(struct http_listener *listener, int fd, void *userdata)
{
        struct clients *all = userdata;

        if (all->n_clients >= all->n_max && !TAILQ_EMPTY(&all->idle))
                client_free(client_dispensable(all));
        int r = client_new(all, fd);

        if (r < 0)
                log_warning_errno(r, "cannot take a connection");
        clients_admit(all);
}

void clients_init(struct clients *all, struct router *router)
{
        *all = (struct clients) { .router = router, .n_max = CLIENTS_DEFAULT, .limits = http_limits_default() };
        all->limits.head_usec = HEAD_USEC;
        all->limits.body_usec = BODY_USEC;
        all->limits.write_usec = WRITE_USEC;
        all->limits.idle_usec = IDLE_USEC;
        TAILQ_INIT(&all->idle);
        TAILQ_INIT(&all->busy);
}

static void clients_stop_listening(struct clients *all)
{
        for (unsigned i = 0; i < all->n_listeners; i++)
                http_listener_free(all->listeners[i]);
        free(all->listeners);
        all->listeners = NULL;
        all->n_listeners = 0;
}

void clients_done(struct clients *all)
{
        clients_stop_listening(all);
        for (struct client *c; (c = TAILQ_FIRST(&all->idle)) || (c = TAILQ_FIRST(&all->busy));)
                client_free(c);
}

/* Accepted connections inherit these: an open stream to a peer that is no more must not stay for ever,
 * and keep the next one from opening. Listeners of other kinds than TCP refuse them: fine. */
static void notice_half_open(int listener_fd)
{
        static const struct {
                int level, name, value;
        } options[] = {
                { SOL_SOCKET, SO_KEEPALIVE, 1 },
                { IPPROTO_TCP, TCP_KEEPIDLE, HALF_OPEN_SEC / 2 },
                { IPPROTO_TCP, TCP_KEEPINTVL, HALF_OPEN_SEC / 6 },
                { IPPROTO_TCP, TCP_KEEPCNT, 3 },
                { IPPROTO_TCP, TCP_USER_TIMEOUT, HALF_OPEN_SEC * 1000 },
        };

        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                (void) setsockopt(listener_fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

int clients_listen(struct clients *all, int first_fd, unsigned n_fds)
{
        all->listeners = calloc(n_fds, sizeof(*all->listeners));
        if (!all->listeners)
                return -ENOMEM;
        for (unsigned i = 0; i < n_fds; i++) {
                notice_half_open(first_fd + (int) i);
                int r = http_listener_new(all->router->base, first_fd + (int) i, false, on_accept, all,
                                          &all->listeners[i]);

                if (r < 0)
                        return r;
                all->n_listeners++;
        }
        return 0;
}

void clients_configure(struct clients *all, const struct ipc_router_config *config)
{
        all->n_max = config->clients_max ?: CLIENTS_DEFAULT;
        all->limits.idle_usec = config->client_idle_usec;
        all->limits.body_bytes_max = config->body_bytes_max;
        if (config->head_bytes_max)
                all->limits.head_bytes_max = config->head_bytes_max;
        clients_admit(all);
}

void clients_drain(struct clients *all)
{
        struct client *c, *next;

        clients_stop_listening(all); /* the sockets stay open elsewhere: nobody in the queue is reset */
        for (c = TAILQ_FIRST(&all->idle); c; c = next) {
                next = TAILQ_NEXT(c, entry);
                if (http_conn_pending_bytes(c->http) > 0)
                        http_conn_set_close(c->http); /* its answer is on its way */
                else
                        client_free(c);
        }
        TAILQ_FOREACH(c, &all->busy, entry)
                http_conn_set_close(c->http);
}

void clients_retire(struct clients *all)
{
        struct client *c;

        clients_stop_listening(all); /* the sockets stay open elsewhere: nobody in the queue is reset */
        TAILQ_FOREACH(c, &all->idle, entry)
                http_conn_announce_close(c->http);
        TAILQ_FOREACH(c, &all->busy, entry)
                http_conn_announce_close(c->http);
}
