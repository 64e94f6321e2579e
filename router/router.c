#include "router/router.h"

#include "common/log.h"
#include "router/table.h"

#include <signal.h>
#include <sys/resource.h>

#define DRAIN_USEC (2 * USEC_PER_SEC) /* how long requests in flight may still take after SIGTERM */
#define FDS_RESERVED 64               /* for what is neither a client nor its worker */

static int ask_send(enum ipc_type type, uint32_t cookie, const void *body, size_t body_size, const void *blob,
                    size_t blob_size, void *userdata)
{
        struct router *router = userdata;

        return link_send(&router->link, type, cookie, body, body_size, blob, blob_size);
}

static const struct ask_ops ask_ops = { .send = ask_send };

static void on_drain_timer(evutil_socket_t fd, short what, void *userdata)
{
        struct router *router = userdata;

        log_notice("ending with %u clients still connected", router->clients.n_clients);
        event_base_loopexit(router->base, NULL);
}

static void on_signal(evutil_socket_t signal_number, short what, void *userdata)
{
        struct router *router = userdata;
        struct timeval tv = usec_to_timeval(DRAIN_USEC);

        if (router->is_stopping)
                return;
        router->is_stopping = true;
        event_add(router->drain_timer, &tv);
        clients_drain(&router->clients);
        if (router->clients.n_clients == 0)
                event_base_loopexit(router->base, NULL);
}

static int router_events_new(struct router *router)
{
        static const int numbers[] = { SIGTERM, SIGINT };

        _Static_assert(ELEMENTSOF(numbers) == sizeof(router->signals) / sizeof(router->signals[0]), "one event each");
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                router->signals[i] = evsignal_new(router->base, numbers[i], on_signal, router);
                if (!router->signals[i] || event_add(router->signals[i], NULL) < 0)
                        return -ENOMEM;
        }
        router->drain_timer = event_new(router->base, -1, 0, on_drain_timer, router);
        return router->drain_timer ? 0 : -ENOMEM;
}

int router_new(const struct router_args *args, struct router **ret)
{
        _cleanup_(router_freep) struct router *router = calloc(1, sizeof(*router));

        if (!router)
                return -ENOMEM;
        router->args = *args;
        STR_COPY(router->config.session_header, "Envmux-Session");
        clients_init(&router->clients, router);
        router->base = event_base_new();
        if (!router->base)
                return -ENOMEM;
        int r = table_new(&router->table);

        if (r == 0)
                r = upstreams_init(&router->upstreams, router->base);
        if (r == 0)
                r = asks_init(&router->asks, router->base, &ask_ops, router);
        if (r == 0)
                r = link_init(&router->link, router);
        if (r == 0)
                r = router_events_new(router);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(router);
        return 0;
}

struct router *router_free(struct router *router)
{
        if (!router)
                return NULL;
        clients_done(&router->clients);
        link_done(&router->link);
        asks_done(&router->asks);
        router->table = table_free(router->table);
        upstreams_done(&router->upstreams);
        servers_done(&router->servers);
        guard_done(&router->guard);
        for (size_t i = 0; i < ELEMENTSOF(router->signals); i++)
                if (router->signals[i])
                        event_free(router->signals[i]);
        if (router->drain_timer)
                event_free(router->drain_timer);
        if (router->base)
                event_base_free(router->base);
        free(router);
        return NULL;
}

int router_run(struct router *router)
{
        link_start(&router->link);
        return event_base_dispatch(router->base) < 0 ? -EIO : 0;
}

/* A client and its worker take one descriptor each. */
static unsigned clients_affordable(unsigned wanted)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
            limit.rlim_cur <= 2 * FDS_RESERVED)
                return wanted;
        rlim_t affordable = (limit.rlim_cur - FDS_RESERVED) / 2;

        if (wanted > affordable)
                log_warning("clients_max %u needs more descriptors than the limit of %ju; %ju clients at most", wanted,
                            (uintmax_t) limit.rlim_cur, (uintmax_t) affordable);
        return wanted > affordable ? (unsigned) affordable : wanted;
}

int router_configure(struct router *router, const struct ipc_router_config *config, const char *allowed_json,
                     size_t allowed_size)
{
        if (!IPC_STRING_OK(config->session_header))
                return -EBADMSG;
        int r = guard_set(&router->guard, allowed_json, allowed_size);

        if (r < 0)
                return r;
        router->config = *config;
        if (!config->session_header[0])
                STR_COPY(router->config.session_header, "Envmux-Session");
        router->config.clients_max = clients_affordable(config->clients_max);
        clients_configure(&router->clients, &router->config);
        router->bodies.max = MAX_OF((size_t) BODIES_BYTES_MIN, (size_t) router->config.clients_max * BODY_BYTES_SHARE);
        if (config->resolve_timeout_usec)
                asks_set_timeout(&router->asks, config->resolve_timeout_usec);
        return 0;
}

void router_start_accepting(struct router *router)
{
        if (router->is_accepting || router->is_retired || router->is_stopping)
                return;
        int r = clients_listen(&router->clients, ROUTER_LISTENER_FD, router->args.n_listeners);

        if (r < 0) {
                log_errno(r, "cannot listen");
                event_base_loopexit(router->base, NULL);
                return;
        }
        router->is_accepting = true;
        log_debug("accepting on %u listeners", router->args.n_listeners);
}

void router_retire(struct router *router, usec_t drain_usec)
{
        struct timeval tv = usec_to_timeval(drain_usec);

        if (router->is_retired || router->is_stopping)
                return;
        log_info("another router accepts now; %u clients stay until they are served", router->clients.n_clients);
        router->is_retired = true;
        event_add(router->drain_timer, &tv);
        clients_retire(&router->clients);
        if (router->clients.n_clients == 0)
                event_base_loopexit(router->base, NULL);
}

void router_count_request(struct router *router, bool is_begin)
{
        if (is_begin) {
                router->status.requests++;
                router->status.in_flight++;
        } else {
                router->status.in_flight--;
        }
        link_status_changed(&router->link);
}

void router_count_client(struct router *router, unsigned n_clients)
{
        router->status.clients = n_clients;
        link_status_changed(&router->link);
        if ((router->is_stopping || router->is_retired) && n_clients == 0)
                event_base_loopexit(router->base, NULL);
}
