#include "supervisor/waiter.h"

#include "supervisor/peers.h"
#include "supervisor/supervisor.h"

static void on_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct waiter *w = userdata;

        w->ops->on_deadline(w);
}

int waiter_init(struct waiter *w, struct peer *peer, uint32_t cookie, usec_t timeout_usec, const struct waiter_ops *ops)
{
        struct timeval timeout = usec_to_timeval(timeout_usec);

        w->deadline = event_new(peer->supervisor->base, -1, 0, on_deadline, w);
        if (!w->deadline || event_add(w->deadline, &timeout) < 0) {
                if (w->deadline)
                        event_free(w->deadline);
                return -ENOMEM;
        }
        w->peer = peer;
        w->cookie = cookie;
        w->ops = ops;
        w->list = NULL;
        TAILQ_INSERT_TAIL(&peer->waiters, w, of_peer);
        peer->n_waiters++;
        return 0;
}

bool waiter_is_surplus(const struct waiter *w)
{
        return w->peer->n_waiters > w->peer->supervisor->config->clients_max;
}

static void waiter_leave(struct waiter *w)
{
        if (w->list)
                TAILQ_REMOVE(w->list, w, of_list);
        w->list = NULL;
}

void waiter_wait(struct waiter *w, struct waiter_list *list)
{
        waiter_leave(w);
        TAILQ_INSERT_TAIL(list, w, of_list);
        w->list = list;
}

void waiter_wait_first(struct waiter *w, struct waiter_list *list)
{
        waiter_leave(w);
        TAILQ_INSERT_HEAD(list, w, of_list);
        w->list = list;
}

void waiters_move(struct waiter_list *from, struct waiter_list *to)
{
        for (struct waiter *w; (w = TAILQ_FIRST(from));)
                waiter_wait(w, to);
}

void waiter_end(struct waiter *w)
{
        waiter_leave(w);
        TAILQ_REMOVE(&w->peer->waiters, w, of_peer);
        w->peer->n_waiters--;
        event_free(w->deadline);
        w->ops->free(w);
}

void waiters_changed(struct session *s)
{
        struct waiter *w = TAILQ_FIRST(&s->waiters);

        while (w) {
                struct waiter *next = TAILQ_NEXT(w, of_list);

                w->ops->on_change(w, s);
                w = next;
        }
}

void waiters_ended(struct session *s)
{
        for (struct waiter *w; (w = TAILQ_FIRST(&s->waiters));) {
                waiter_leave(w);
                w->ops->on_ended(w, s);
        }
}

void waiters_drop_peer(struct peer *peer)
{
        for (struct waiter *w; (w = TAILQ_FIRST(&peer->waiters));)
                waiter_end(w);
}
