#include "router/upstream.h"

#include "common/log.h"

#define IDLE_USEC (10 * USEC_PER_SEC)
#define IDLE_PER_UPSTREAM_MAX 64
#define IDLE_MAX 1024
#define SWEEP_USEC (2 * USEC_PER_SEC)

struct upstream {
        struct upstreams *all;
        struct upstream_conn_list idle; /* most recently used last */
        size_t n_idle;
        unsigned n_refs;
        bool is_closed;
        char name[];
};

/* A worker has nothing to say on an idle connection; anything but silence ends it. */
static void on_idle_close(struct http_conn *http, int error, void *userdata);
static void on_idle_head(struct http_conn *http, const struct http_head *head, void *userdata);

static const struct http_conn_ops idle_ops = { .on_head = on_idle_head, .on_close = on_idle_close };

static void idle_remove(struct upstream_conn *conn)
{
        TAILQ_REMOVE(&conn->upstream->all->idle, conn, of_all);
        TAILQ_REMOVE(&conn->upstream->idle, conn, of_upstream);
        conn->upstream->all->n_idle--;
        conn->upstream->n_idle--;
}

static void idle_drop(struct upstream_conn *conn)
{
        idle_remove(conn);
        http_conn_free(conn->http);
        free(conn);
}

static void on_idle_close(struct http_conn *http, int error, void *userdata)
{
        idle_drop(userdata);
}

static void on_idle_head(struct http_conn *http, const struct http_head *head, void *userdata)
{
        struct upstream_conn *conn = userdata;

        log_warning("%s: its worker sent an answer that nobody asked for", conn->upstream->name);
        idle_drop(conn);
}

static void timer_set(struct upstreams *all)
{
        struct timeval tv = usec_to_timeval(SWEEP_USEC);

        if (!TAILQ_EMPTY(&all->idle) && !event_pending(all->timer, EV_TIMEOUT, NULL))
                event_add(all->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
        struct upstreams *all = userdata;
        usec_t now = now_usec();

        for (struct upstream_conn *conn; (conn = TAILQ_FIRST(&all->idle)) && conn->idle_since_usec + IDLE_USEC <= now;)
                idle_drop(conn);
        timer_set(all);
}

int upstreams_init(struct upstreams *all, struct event_base *base)
{
        *all = (struct upstreams) { .base = base, .limits = http_limits_default() };
        all->limits.body_bytes_max = 0;
        all->limits.body_usec = 0;  /* an event stream may be silent for hours */
        all->limits.write_usec = 0; /* the worker's own deadlines rule */
        TAILQ_INIT(&all->idle);
        all->timer = event_new(base, -1, 0, on_timer, all);
        return all->timer ? 0 : -ENOMEM;
}

void upstreams_done(struct upstreams *all)
{
        if (all->timer)
                event_free(all->timer);
        all->timer = NULL;
}

int upstream_new(struct upstreams *all, const char *name, struct upstream **ret)
{
        size_t size = strlen(name) + 1;
        struct upstream *u = malloc(sizeof(*u) + size);

        if (!u)
                return -ENOMEM;
        *u = (struct upstream) { .all = all, .n_refs = 1 };
        TAILQ_INIT(&u->idle);
        memcpy(u->name, name, size);
        *ret = u;
        return 0;
}

struct upstream *upstream_ref(struct upstream *u)
{
        u->n_refs++;
        return u;
}

static void upstream_empty(struct upstream *u)
{
        for (struct upstream_conn *conn; (conn = TAILQ_FIRST(&u->idle));)
                idle_drop(conn);
}

struct upstream *upstream_unref(struct upstream *u)
{
        if (u && --u->n_refs == 0) {
                upstream_empty(u);
                free(u);
        }
        return NULL;
}

void upstream_close(struct upstream *u)
{
        if (!u)
                return;
        u->is_closed = true;
        upstream_empty(u);
}

static int upstream_connect(struct upstream *u, const struct http_conn_ops *ops, void *userdata,
                            struct upstream_conn **ret)
{
        _cleanup_free_ struct upstream_conn *conn = calloc(1, sizeof(*conn));

        if (!conn)
                return -ENOMEM;
        int fd = http_connect_unix(u->name);

        if (fd < 0)
                return fd;
        int r = http_conn_new(u->all->base, fd, HTTP_CLIENT, &u->all->limits, ops, userdata, &conn->http);

        if (r < 0)
                return r;
        conn->upstream = upstream_ref(u);
        *ret = TAKE_PTR(conn);
        return 0;
}

int upstream_acquire(struct upstream *u, const struct http_conn_ops *ops, void *userdata, struct upstream_conn **ret)
{
        struct upstream_conn *conn = TAILQ_LAST(&u->idle, upstream_conn_list);

        if (!conn)
                return upstream_connect(u, ops, userdata, ret);
        idle_remove(conn);
        upstream_ref(u);
        http_conn_set_ops(conn->http, ops, userdata);
        *ret = conn;
        return 0;
}

void upstream_release(struct upstream_conn *conn)
{
        struct upstream *u = conn->upstream;
        struct upstreams *all = u->all;

        if (u->is_closed || u->n_refs == 1 || !http_conn_is_idle(conn->http)) {
                upstream_drop(conn);
                return;
        }
        if (u->n_idle >= IDLE_PER_UPSTREAM_MAX)
                idle_drop(TAILQ_FIRST(&u->idle));
        else if (all->n_idle >= IDLE_MAX)
                idle_drop(TAILQ_FIRST(&all->idle));
        conn->idle_since_usec = now_usec();
        TAILQ_INSERT_TAIL(&all->idle, conn, of_all);
        TAILQ_INSERT_TAIL(&u->idle, conn, of_upstream);
        all->n_idle++;
        u->n_idle++;
        http_conn_set_ops(conn->http, &idle_ops, conn);
        timer_set(all);
        upstream_unref(u);
}

struct upstream_conn *upstream_drop(struct upstream_conn *conn)
{
        if (!conn)
                return NULL;
        http_conn_free(conn->http);
        upstream_unref(conn->upstream);
        free(conn);
        return NULL;
}
