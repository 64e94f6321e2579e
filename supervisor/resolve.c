#include "supervisor/resolve_internal.h"

#include "common/json_scan.h"
#include "common/log.h"
#include "supervisor/dormant.h"
#include "supervisor/lifecycle.h"
#include "supervisor/rebuild.h"
#include "supervisor/routers.h"
#include "supervisor/supervisor.h"

struct resolver {
        struct supervisor *supervisor;
        struct session_observer observer;
        struct event *late_event;
        struct waiter_list late;      /* would be refused: looked at again once everything sent was read */
        struct waiter_list adopting;  /* would be refused, but a worker may still have to say HELLO */
};

/* ---- finding and making ----------------------------------------------------------------------- */

/* True when a worker of this server and principal may still have to say HELLO. */
static bool is_adopting(const struct supervisor *supervisor, const char *server, const char *principal)
{
        if (!rebuild_is_settled(supervisor->rebuild))
                return true;
        for (struct session *s = session_next(supervisor->sessions, NULL); s; s = session_next(supervisor->sessions, s))
                if (s->state == SESSION_ADOPTING && streq(s->record.server, server) &&
                    streq(s->record.principal, principal))
                        return true;
        return false;
}

void question_wait_for(struct question *q, struct session *s, enum resolve_stage stage)
{
        q->stage = stage;
        q->is_late = false;
        waiter_wait(&q->waiter, &s->waiters);
}

/* Nothing has the key. Refuses now only what was looked at late already. */
static void question_refuse(struct question *q)
{
        struct resolver *resolver = q->waiter.peer->supervisor->resolver;
        const struct ipc_resolve *a = &q->asked;

        if (is_adopting(resolver->supervisor, a->server, a->principal))
                waiter_wait(&q->waiter, &resolver->adopting);
        else if (!q->is_late) {
                waiter_wait(&q->waiter, &resolver->late);
                event_active(resolver->late_event, EV_TIMEOUT, 0);
        } else
                question_answer_unknown(q);
}

/* What the question asks for. Where a client replaced a session whose settings were given with PUT, the
 * fresh backend has them too: they belong to the key, and no client can bring them. */
static struct session_request question_request(const struct question *q)
{
        const struct ipc_resolve *a = &q->asked;
        const struct session *last = session_find_ended_key(q->waiter.peer->supervisor->sessions, a->principal,
                                                            a->server, (enum key_kind) a->kind, a->key);
        struct session_request request = {
                .principal = a->principal,
                .key = a->key,
                .kind = (enum key_kind) a->kind,
                .awaits_request = true,
                .has_seed = a->has_seed,
                .seed = a->seed,
                .config = q->config,
        };

        if (last && last->record.is_put && last->end_reason == REASON_replaced) {
                request = lifecycle_request_like(last);
                request.awaits_request = true;
        }
        return request;
}

/* A session was made for the question; error is lifecycle_create's. */
static void question_made(struct question *q, int error, struct session *s)
{
        if (error < 0)
                return question_answer_not_made(q, error);
        if (session_is_reachable(s))
                question_answer_ok(q, s);
        else if (session_state_is_ending(s->state) || session_state_is_final(s->state) || s->state == SESSION_DORMANT)
                question_answer_ended(q, RESOLVE_FAILED, s);
        else
                question_wait_for(q, s, STAGE_LAUNCH);
}

static void question_create(struct question *q, const struct server_config *server)
{
        const struct session_request request = question_request(q);
        struct session *s = NULL;
        int r = lifecycle_create(q->waiter.peer->supervisor, server, &request, &s);

        q->is_creator = r >= 0;
        question_made(q, r, s);
}

/* A client that initializes where no second one may join takes the place of those that sleep: they hold
 * the key no more than clients of a session that has ended. */
static bool takes_over(const struct question *q, const struct server_config *server)
{
        return q->asked.may_create && !q->asked.is_modern && q->asked.kind != KEY_META &&
               server->attach != ATTACH_JOIN;
}

static void question_dormant(struct question *q, struct session *dormant)
{
        const struct server_config *server = config_find(q->waiter.peer->supervisor->config, q->asked.server);
        bool is_over = server && takes_over(q, server);
        struct session *s = NULL;

        if (!server)
                return question_answer_reason(q, RESOLVE_UNKNOWN, REASON_unknown_path);
        if (q->asked.wake != WAKE_REVIVE)
                return question_answer_dormant(q, dormant);
        if (is_over && !dormant->record.is_put) {
                lifecycle_stop(dormant, REASON_replaced, NULL, 0);
                return question_look(q); /* others who waited for that may have been faster */
        }
        int r = dormant_wake(dormant, server, !is_over, true, &s);

        question_made(q, r, s);
}

static void question_missing(struct question *q)
{
        struct supervisor *supervisor = q->waiter.peer->supervisor;
        const struct ipc_resolve *a = &q->asked;
        const struct server_config *server = config_find(supervisor->config, a->server);

        if (!server)
                question_answer_reason(q, RESOLVE_UNKNOWN, REASON_unknown_path);
        else if (!a->may_create || !config_may_create(server, (enum key_kind) a->kind, a->key))
                question_refuse(q);
        else if (!rebuild_is_settled(supervisor->rebuild) ||
                 (a->kind == KEY_CLIENT && is_adopting(supervisor, a->server, a->principal)))
                waiter_wait(&q->waiter, &supervisor->resolver->adopting); /* it may be an alias */
        else
                question_create(q, server);
}

/* It ends, and nothing will follow that this question may have. */
static bool is_past_waiting(const struct question *q, const struct session *s)
{
        return session_state_is_ending(s->state) && !q->asked.may_create && !s->record.revive;
}

void question_look(struct question *q)
{
        const struct ipc_resolve *a = &q->asked;
        struct session *s = session_find(q->waiter.peer->supervisor->sessions, a->principal, a->server,
                                         (enum key_kind) a->kind, a->key);
        bool is_stale = s && a->stale_id[0] && streq(s->record.id, a->stale_id);

        if (question_meets_era(q, s))
                return;
        if (!s)
                question_missing(q);
        else if (session_is_reachable(s) && !is_stale)
                question_answer_ok(q, s);
        else if (s->state == SESSION_DORMANT)
                question_dormant(q, s);
        else if (session_state_is_ending(s->state) && s->record.revive && a->wake == WAKE_NOT)
                question_answer_dormant(q, s);
        else if (is_past_waiting(q, s))
                question_refuse(q);
        else if (session_state_is_ending(s->state) || is_stale || s->state == SESSION_ADOPTING)
                question_wait_for(q, s, STAGE_END);
        else
                question_wait_for(q, s, STAGE_LAUNCH);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

static void question_on_change(struct waiter *w, struct session *s)
{
        struct question *q = (struct question *) w;
        bool is_stale = streq(s->record.id, q->asked.stale_id);

        if (q->stage == STAGE_ERA)
                question_on_probe(q);
        else if (session_is_reachable(s) && !is_stale)
                question_answer_ok(q, s);
        else if (q->stage == STAGE_END && is_past_waiting(q, s))
                question_refuse(q);
}

static void question_on_ended(struct waiter *w, struct session *s)
{
        struct question *q = (struct question *) w;

        if (q->stage == STAGE_ERA)
                question_on_probe_ended(q, s);
        else if (q->stage == STAGE_LAUNCH)
                question_answer_ended(q, RESOLVE_FAILED, s);
        else
                question_look(q);
}

static void question_on_deadline(struct waiter *w)
{
        question_answer_reason((struct question *) w, RESOLVE_FAILED, REASON_unavailable);
}

static void question_free(struct waiter *w)
{
        free(((struct question *) w)->config);
        free(w);
}

static void list_look(struct waiter_list *list, bool is_late)
{
        struct waiter_list now = TAILQ_HEAD_INITIALIZER(now);

        waiters_move(list, &now);
        for (struct waiter *w; (w = TAILQ_FIRST(&now));) {
                struct question *q = (struct question *) w;

                q->is_late = is_late;
                question_look(q);
                /* Each look ends the question or moves it to another list. */
        }
}

static void on_late(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        list_look(&((struct resolver *) userdata)->late, true);
}

static void on_change(struct session *s, enum session_state old, void *userdata)
{
        struct resolver *resolver = userdata;

        waiters_changed(s);
        if (old != SESSION_ADOPTING || s->state == SESSION_ADOPTING)
                return;
        /* What its worker knows more than the record (aliases) follows its HELLO: look late. */
        resolver_reconsider(resolver);
}

void resolver_reconsider(struct resolver *resolver)
{
        waiters_move(&resolver->adopting, &resolver->late);
        event_active(resolver->late_event, EV_TIMEOUT, 0);
}

/* ---- the module ------------------------------------------------------------------------------- */

static bool resolve_is_valid(const struct ipc_resolve *a)
{
        return IPC_STRING_OK(a->server) && IPC_STRING_OK(a->principal) && IPC_STRING_OK(a->key) &&
               IPC_STRING_OK(a->stale_id) && IPC_STRING_OK(a->transport) && a->key[0] && a->kind > 0 && a->kind < KEY_PROBE &&
               !(a->kind == KEY_HANDLE && a->may_create);
}

static int question_set_config(struct question *q, const struct ipc_message *m)
{
        struct json_slice config;

        if (m->blob_size == 0)
                return 0;
        if (json_validate(m->blob, m->blob_size, &config) < 0 || json_slice_type(config) != JSON_OBJECT)
                return -EBADMSG;
        q->config = strndup(config.data, config.size);
        return q->config ? 0 : -ENOMEM;
}

int resolver_on_resolve(struct peer *peer, const struct ipc_message *m)
{
        const struct ipc_resolve *asked = m->body;
        struct supervisor *supervisor = peer->supervisor;
        static const struct waiter_ops ops = {
                .on_change = question_on_change,
                .on_ended = question_on_ended,
                .on_deadline = question_on_deadline,
                .free = question_free,
        };

        if (!resolve_is_valid(asked))
                return -EBADMSG;
        struct question *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        q->asked = *asked;
        int r = question_set_config(q, m);

        if (r < 0) {
                free(q);
                return r;
        }
        r = waiter_init(&q->waiter, peer, m->cookie, routers_resolve_usec(supervisor) - USEC_PER_SEC, &ops);
        if (r < 0) {
                free(q->config);
                free(q);
                return r;
        }
        supervisor->counters.resolves++;
        if (waiter_is_surplus(&q->waiter))
                question_answer_reason(q, RESOLVE_FAILED, REASON_overloaded);
        else
                question_look(q);
        return 0;
}

int resolver_new(struct supervisor *supervisor, struct resolver **ret)
{
        _cleanup_(resolver_freep) struct resolver *resolver = calloc(1, sizeof(*resolver));

        if (!resolver)
                return -ENOMEM;
        resolver->supervisor = supervisor;
        TAILQ_INIT(&resolver->late);
        TAILQ_INIT(&resolver->adopting);
        resolver->observer.on_change = on_change;
        resolver->observer.userdata = resolver;
        supervisor_observe(supervisor, &resolver->observer);
        resolver->late_event = event_new(supervisor->base, -1, 0, on_late, resolver);
        if (!resolver->late_event || event_priority_set(resolver->late_event, LOOP_LATE) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(resolver);
        return 0;
}

struct resolver *resolver_free(struct resolver *resolver)
{
        if (!resolver)
                return NULL;
        supervisor_unobserve(resolver->supervisor, &resolver->observer);
        if (resolver->late_event)
                event_free(resolver->late_event);
        free(resolver);
        return NULL;
}
