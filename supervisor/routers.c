#include "supervisor/routers.h"

#include "common/log.h"
#include "supervisor/router.h"
#include "supervisor/router_files.h"
#include "supervisor/router_push.h"
#include "supervisor/status.h"
#include "supervisor/supervisor.h"

struct routers {
        struct supervisor *supervisor;
        struct session_observer observer;
        TAILQ_HEAD(, router) list;
        struct event *down_event;
        bool was_up, is_stopping;
        void (*on_up)(struct supervisor *supervisor);
        void (*on_down)(struct supervisor *supervisor);
};

/* ---- the set ---------------------------------------------------------------------------------- */

static void on_router_over(struct router *router, void *userdata)
{
        struct routers *routers = userdata;

        TAILQ_REMOVE(&routers->list, router, entry);
        router_free(router);
        if (TAILQ_EMPTY(&routers->list) && routers->is_stopping)
                event_active(routers->down_event, EV_TIMEOUT, 0);
}

static int routers_add(struct routers *routers, unsigned slot)
{
        struct router *router;
        int r = router_new(routers->supervisor, slot, on_router_over, routers, &router);

        if (r >= 0)
                TAILQ_INSERT_TAIL(&routers->list, router, entry);
        return r;
}

struct router *routers_find(struct routers *routers, unsigned slot, const char *token)
{
        struct router *router;

        TAILQ_FOREACH(router, &routers->list, entry)
                if (router->slot == slot)
                        return session_token_equal(router->token, token) ? router : NULL;
        return NULL;
}

unsigned routers_count_connected(const struct routers *routers)
{
        const struct router *router;
        unsigned n = 0;

        TAILQ_FOREACH(router, &routers->list, entry)
                n += router->peer != NULL;
        return n;
}

bool routers_are_well(const struct routers *routers)
{
        const struct router *router;

        TAILQ_FOREACH(router, &routers->list, entry)
                if (!router_health_is_good(router))
                        return false;
        return true;
}

bool routers_know_pid(const struct routers *routers, pid_t pid)
{
        const struct router *router;

        TAILQ_FOREACH(router, &routers->list, entry)
                if (router->pid == pid)
                        return true;
        return false;
}

bool routers_are_stopping(const struct routers *routers)
{
        return routers->is_stopping;
}

/* ---- connections ------------------------------------------------------------------------------ */

int routers_hello(struct peer *peer, struct router *router, uint32_t version)
{
        struct routers *routers = router->userdata;
        struct ipc_welcome welcome = { .version = IPC_VERSION };

        router_connected(router, peer, version);
        (void) IPC_SEND(peer->channel, IPC_WELCOME, 0, &welcome);
        router_push_dump(peer);
        status_changed(routers->supervisor->status);
        if (!routers->was_up && routers_count_connected(routers) >= routers->supervisor->config->routers) {
                routers->was_up = true;
                routers->on_up(routers->supervisor);
        }
        return 0;
}

void routers_hangup(struct peer *peer)
{
        if (!peer->router)
                return;
        router_disconnected(peer->router);
        status_changed(peer->supervisor->status);
}

int routers_on_status(struct peer *peer, const struct ipc_message *m)
{
        if (peer->router)
                peer->router->status = *(const struct ipc_router_status *) m->body;
        return 0;
}

struct ipc_router_status routers_status(const struct routers *routers)
{
        struct ipc_router_status sum = { 0 };
        const struct router *router;

        TAILQ_FOREACH(router, &routers->list, entry) {
                sum.clients += router->status.clients;
                sum.in_flight += router->status.in_flight;
                sum.requests += router->status.requests;
        }
        return sum;
}

/* ---- what they are told ----------------------------------------------------------------------- */

static void on_change(struct session *s, _unused_ enum session_state old, void *userdata)
{
        struct routers *routers = userdata;
        void (*push)(struct peer *peer, const struct session *session) = NULL;
        struct router *router;

        if (s->record.kind == KEY_PROBE)
                return;
        if (session_is_reachable(s) && !s->is_announced)
                push = router_push_session;
        else if (!session_state_is_open(s->state) && s->is_announced)
                push = router_push_gone;
        if (!push)
                return;
        s->is_announced = !s->is_announced;
        TAILQ_FOREACH(router, &routers->list, entry)
                if (router->peer)
                        push(router->peer, s);
}

void routers_push_alias(struct routers *routers, const struct session *s, enum key_kind kind, const char *key,
                        bool is_removed)
{
        struct router *router;

        if (!s->is_announced)
                return;
        TAILQ_FOREACH(router, &routers->list, entry)
                if (router->peer)
                        router_push_alias(router->peer, s, kind, key, is_removed);
}

void routers_push_era(struct routers *routers, const char *definition_hash)
{
        const struct config *config = routers->supervisor->config;
        struct router *router;

        for (size_t i = 0; i < config->n_servers; i++) {
                if (!streq(config->servers[i]->definition_hash, definition_hash))
                        continue;
                TAILQ_FOREACH(router, &routers->list, entry)
                        if (router->peer)
                                router_push_server(router->peer, config->servers[i]);
        }
}

usec_t routers_resolve_usec(const struct supervisor *supervisor)
{
        return router_resolve_usec(supervisor->config);
}

/* ---- the module ------------------------------------------------------------------------------- */

static void on_down_event(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct routers *routers = userdata;

        routers->on_down(routers->supervisor);
}

int routers_new(struct supervisor *supervisor, void (*on_up)(struct supervisor *supervisor), struct routers **ret)
{
        _cleanup_(routers_freep) struct routers *routers = calloc(1, sizeof(*routers));

        if (!routers)
                return -ENOMEM;
        routers->supervisor = supervisor;
        routers->on_up = on_up;
        routers->observer.on_change = on_change;
        routers->observer.userdata = routers;
        TAILQ_INIT(&routers->list);
        supervisor_observe(supervisor, &routers->observer);
        routers->down_event = event_new(supervisor->base, -1, 0, on_down_event, routers);
        if (!routers->down_event)
                return -ENOMEM;
        for (unsigned slot = 0; slot < supervisor->config->routers; slot++) {
                int r = routers_add(routers, slot);

                if (r < 0)
                        return r;
        }
        router_files_clean(supervisor->options.runtime, supervisor->config->routers);
        *ret = TAKE_PTR(routers);
        return 0;
}

struct routers *routers_free(struct routers *routers)
{
        if (!routers)
                return NULL;
        supervisor_unobserve(routers->supervisor, &routers->observer);
        for (struct router *router; (router = TAILQ_FIRST(&routers->list));) {
                TAILQ_REMOVE(&routers->list, router, entry);
                router_free(router);
        }
        if (routers->down_event)
                event_free(routers->down_event);
        free(routers);
        return NULL;
}

/* The routers of slots from 0 on go on and hear everything anew, the others end. Returns the slots there are. */
static unsigned keep_slots(struct routers *routers, unsigned wanted)
{
        struct router *router = TAILQ_FIRST(&routers->list);
        unsigned have = 0;

        while (router) {
                struct router *next = TAILQ_NEXT(router, entry);

                if (router->slot < wanted) {
                        router_keep(router);
                        have = MAX_OF(have, router->slot + 1);
                        if (router->peer)
                                router_push_dump(router->peer);
                } else
                        router_end(router);
                router = next;
        }
        return have;
}

void routers_reconfigure(struct routers *routers)
{
        unsigned wanted = routers->supervisor->config->routers;

        for (unsigned slot = keep_slots(routers, wanted); slot < wanted; slot++) {
                int r = routers_add(routers, slot);

                if (r < 0)
                        (void) log_errno(r, "cannot add router %u", slot);
        }
}

void routers_stop(struct routers *routers, void (*on_down)(struct supervisor *supervisor))
{
        routers->is_stopping = true;
        routers->on_down = on_down;
        if (TAILQ_EMPTY(&routers->list))
                event_active(routers->down_event, EV_TIMEOUT, 0);
        (void) keep_slots(routers, 0);
}
