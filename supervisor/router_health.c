#include "supervisor/router_health.h"

#include "common/log.h"
#include "supervisor/router.h"
#include "supervisor/routers.h"
#include "supervisor/supervisor.h"

#define PING_VERSION 2 /* the first IPC_VERSION with it */
#define PATIENCE_USEC (10 * USEC_PER_SEC)
#define UNANSWERED_MAX 4
#define LOST_CAUSE_FACTOR 4 /* so many times the patience after which killing it should have helped */

usec_t router_health_patience_usec(void)
{
        usec_t usec = notify_watchdog_usec();

        return usec == 0 ? PATIENCE_USEC : MIN_OF((usec_t) PATIENCE_USEC, usec / 2);
}

static void timer_set(struct router_health *health)
{
        struct timeval interval = usec_to_timeval(router_health_patience_usec() / UNANSWERED_MAX);

        event_add(health->timer, &interval);
}

static void ask(struct router *router)
{
        struct ipc_empty ping = { 0 };

        router->health.n_unanswered++;
        timer_set(&router->health);
        (void) IPC_SEND(router->peer->channel, IPC_PING, ++router->health.cookie, &ping);
}

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct router *router = userdata;

        if (router->health.n_unanswered >= UNANSWERED_MAX)
                router_kill(router, "does not answer");
        ask(router);
}

int router_health_init(struct router *router)
{
        router->health.timer = event_new(router->supervisor->base, -1, 0, on_timer, router);
        /* Late: what it has said already is read before it is judged. */
        return router->health.timer && event_priority_set(router->health.timer, LOOP_LATE) == 0 ? 0 : -ENOMEM;
}

void router_health_done(struct router *router)
{
        if (router->health.timer)
                event_free(router->health.timer);
        router->health.timer = NULL;
}

void router_health_begin(struct router *router, uint32_t version)
{
        router->health.n_unanswered = 0;
        router->health.can_answer = version >= PING_VERSION;
        router_health_ask(router);
}

void router_health_ask(struct router *router)
{
        if (router->health.can_answer)
                ask(router);
}

bool router_health_is_heard(const struct router *router)
{
        return router->health.n_unanswered == 0;
}

void router_health_end(struct router *router)
{
        router->health.can_answer = false;
        router->health.n_unanswered = 0;
        event_del(router->health.timer);
}

bool router_health_is_good(const struct router *router)
{
        return router->health.n_unanswered <= LOST_CAUSE_FACTOR * UNANSWERED_MAX;
}

int router_health_on_pong(struct peer *peer, const struct ipc_message *m)
{
        struct router *router = peer->router;

        if (!router || m->cookie != router->health.cookie)
                return 0;
        router->health.n_unanswered = 0;
        routers_on_answer(router);
        return 0;
}
