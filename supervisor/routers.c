#include "supervisor/routers.h"

#include "common/log.h"
#include "supervisor/reload.h"
#include "supervisor/router.h"
#include "supervisor/router_files.h"
#include "supervisor/router_push.h"
#include "supervisor/status.h"
#include "supervisor/supervisor.h"

#define FORMERS_MAX 64 /* each is a process with the clients of an earlier upgrade */

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
                if (router->slot == slot && session_token_equal(router->file.token, token))
                        return router;
        return NULL;
}

unsigned routers_count_connected(const struct routers *routers)
{
        const struct router *router;
        unsigned n = 0;

        TAILQ_FOREACH(router, &routers->list, entry)
                n += router->peer && !router->is_former;
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
                if (router->file.pid == pid)
                        return true;
        return false;
}

bool routers_are_stopping(const struct routers *routers)
{
        return routers->is_stopping;
}

/* ---- replacement ------------------------------------------------------------------------------- */

/* The process that has the slot now. */
static struct router *find_present(const struct routers *routers, unsigned slot)
{
        struct router *router;

        TAILQ_FOREACH(router, &routers->list, entry)
                if (router->slot == slot && !router->is_former)
                        return router;
        return NULL;
}

/* The one that was to replace it does not accept yet. */
static bool needs_former(const struct routers *routers, unsigned slot)
{
        const struct router *present = find_present(routers, slot);

        return present && !present->has_answered;
}

void routers_on_answer(struct router *router)
{
        struct routers *routers = router->userdata;
        struct router *other;

        reload_on_router_heard(routers->supervisor->reload);
        if (router->is_former || router->has_answered)
                return;
        router->has_answered = true;
        TAILQ_FOREACH(other, &routers->list, entry)
                if (other->is_former && other->slot == router->slot)
                        router_drain(other);
}

/* Upgrades that follow each other faster than clients leave: the longest retired one goes. */
static void make_room(struct routers *routers)
{
        struct router *router, *oldest = NULL;
        unsigned n = 0;

        TAILQ_FOREACH(router, &routers->list, entry)
                if (router->is_former && !router->is_ending) {
                        oldest = oldest ?: router;
                        n++;
                }
        if (n > FORMERS_MAX)
                router_end(oldest);
}

/* Its slot is not wanted any more. May free it. */
static void retire(struct routers *routers, struct router *router)
{
        if (router->file.pid == 0 || router_retire(router) < 0) {
                router_end(router);
                return;
        }
        router_drain(router);
        make_room(routers);
}

/* Each slot whose program was replaced gets a new process. */
static void renew(struct routers *routers)
{
        for (unsigned slot = 0; slot < routers->supervisor->config->routers; slot++) {
                struct router *router = find_present(routers, slot);

                if (!router || router->is_ending || !router_is_outdated(router))
                        continue;
                int r = router_retire(router);

                if (r >= 0)
                        r = routers_add(routers, slot);
                make_room(routers);
                if (r < 0)
                        (void) log_errno(r, "cannot replace router %u", slot);
                else
                        log_info("router %u: another program is there now, replacing it", slot);
        }
}

/* ---- connections ------------------------------------------------------------------------------ */

int routers_hello(struct peer *peer, struct router *router, uint32_t version)
{
        struct routers *routers = router->userdata;
        struct ipc_welcome welcome = { .version = IPC_VERSION };

        router_connected(router, peer);
        (void) IPC_SEND(peer->channel, IPC_WELCOME, 0, &welcome);
        router_push_dump(peer);
        router_health_begin(router, version);
        if (router->is_former && !needs_former(routers, router->slot))
                router_drain(router);
        status_changed(routers->supervisor->status);
        if (!routers->was_up && routers_count_connected(routers) >= routers->supervisor->config->routers) {
                routers->was_up = true;
                routers->on_up(routers->supervisor);
                renew(routers);
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

/* Of an earlier supervisor: former routers go on, those of slots that are not used any more end. */
static void on_file(const char *name, unsigned slot, bool is_former, void *userdata)
{
        struct routers *routers = userdata;
        struct router *router;

        if (!is_former && slot < routers->supervisor->config->routers)
                return;
        if (!is_former)
                router_files_end(routers->supervisor->options.runtime, name);
        else if (router_new_former(routers->supervisor, name, slot, on_router_over, routers, &router) < 0)
                router_files_remove(routers->supervisor->options.runtime, name);
        else
                TAILQ_INSERT_TAIL(&routers->list, router, entry);
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
        router_files_each(supervisor->options.runtime, on_file, routers);
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

/* The routers of slots from 0 on go on and hear everything anew, the others retire. Returns the slots there are. */
static unsigned keep_slots(struct routers *routers, unsigned wanted)
{
        struct router *router = TAILQ_FIRST(&routers->list);
        unsigned have = 0;

        while (router) {
                struct router *next = TAILQ_NEXT(router, entry);

                if (!router->is_former && router->slot < wanted)
                        have = MAX_OF(have, router->slot + 1);
                if (router->peer) {
                        router_push_dump(router->peer);
                        router_health_ask(router);
                }
                if (!router->is_former && router->slot >= wanted)
                        retire(routers, router);
                router = next;
        }
        return have;
}

bool routers_are_heard(const struct routers *routers)
{
        const struct router *router;

        TAILQ_FOREACH(router, &routers->list, entry)
                if (router->peer && !router->is_former && !router_health_is_heard(router))
                        return false;
        return true;
}

void routers_reconfigure(struct routers *routers)
{
        unsigned wanted = routers->supervisor->config->routers;

        for (unsigned slot = keep_slots(routers, wanted); slot < wanted; slot++) {
                int r = routers_add(routers, slot);

                if (r < 0)
                        (void) log_errno(r, "cannot add router %u", slot);
        }
        renew(routers);
}

void routers_stop(struct routers *routers, void (*on_down)(struct supervisor *supervisor))
{
        routers->is_stopping = true;
        routers->on_down = on_down;
        if (TAILQ_EMPTY(&routers->list))
                event_active(routers->down_event, EV_TIMEOUT, 0);
        for (struct router *router = TAILQ_FIRST(&routers->list), *next; router; router = next) {
                next = TAILQ_NEXT(router, entry);
                router_end(router);
        }
}
