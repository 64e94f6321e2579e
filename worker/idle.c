#include "worker/idle.h"

#include "common/macro.h"

struct idle {
        struct event *timer;
        usec_t idle_usec;
        usec_t quiet_from; /* monotonic; meaningless while holds > 0 */
        unsigned holds;
        bool is_started;
        const struct idle_ops *ops;
        void *userdata;
};

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct idle *idle = userdata;

        idle->ops->on_expired(idle->userdata);
}

int idle_new(struct event_base *base, usec_t idle_usec, const struct idle_ops *ops, void *userdata, struct idle **ret)
{
        struct idle *idle = calloc(1, sizeof(*idle));

        if (!idle)
                return -ENOMEM;
        idle->timer = evtimer_new(base, on_timer, idle);
        if (!idle->timer) {
                free(idle);
                return -ENOMEM;
        }
        idle->idle_usec = idle_usec;
        idle->quiet_from = now_usec();
        idle->ops = ops;
        idle->userdata = userdata;
        *ret = idle;
        return 0;
}

struct idle *idle_free(struct idle *idle)
{
        if (!idle)
                return NULL;
        event_free(idle->timer);
        free(idle);
        return NULL;
}

static void arm(struct idle *idle)
{
        if (!idle->is_started || idle->holds > 0 || idle->idle_usec == 0 || idle->idle_usec == USEC_INFINITY)
                return;
        struct timeval wait = usec_to_timeval(idle->idle_usec);

        event_add(idle->timer, &wait);
}

void idle_start(struct idle *idle)
{
        if (idle->is_started)
                return;
        idle->is_started = true;
        idle->quiet_from = now_usec();
        arm(idle);
}

void idle_stop(struct idle *idle)
{
        idle->is_started = false;
        event_del(idle->timer);
}

void idle_hold(struct idle *idle)
{
        if (idle->holds++ == 0)
                event_del(idle->timer);
}

void idle_release(struct idle *idle)
{
        assert(idle->holds > 0);
        if (--idle->holds > 0)
                return;
        idle->quiet_from = now_usec();
        arm(idle);
        idle->ops->on_quiet(idle->userdata);
}

unsigned idle_in_flight(const struct idle *idle)
{
        return idle->holds;
}

usec_t idle_since_usec(const struct idle *idle)
{
        return idle->holds > 0 ? 0 : now_usec() - idle->quiet_from;
}
