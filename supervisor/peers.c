#include "supervisor/peers.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/era.h"
#include "supervisor/resolve.h"
#include "supervisor/router.h"
#include "supervisor/routers.h"
#include "supervisor/session_api.h"
#include "supervisor/session_logs.h"
#include "supervisor/supervisor.h"
#include "supervisor/users.h"
#include "supervisor/workers.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define HELLO_USEC (5 * USEC_PER_SEC)
#define STRANGERS_MAX 1024       /* connections that have not said HELLO … */
#define STRANGERS_OF_USER_MAX 128 /* … of one user: backends can connect, too */
#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_USEC (100 * USEC_PER_MSEC)

struct peers {
        struct supervisor *supervisor;
        int listen_fd;
        struct event *accept_event, *resume_event;
        TAILQ_HEAD(peer_list, peer) list, strangers; /* oldest first */
        unsigned n_strangers;
};

/* Who may send what is checked by the channel; this says who listens. */
static const peer_handler handlers[IPC__MAX] = {
        [IPC_ALIAS] = workers_on_alias,
        [IPC_SPAWNED] = workers_on_spawned,
        [IPC_READY] = workers_on_ready,
        [IPC_STATUS] = workers_on_status,
        [IPC_GONE] = workers_on_gone,
        [IPC_BACKEND_EXITED] = workers_on_backend_exited,
        [IPC_ERA] = eras_on_era,
        [IPC_LOG_LINES] = log_requests_on_lines,
        [IPC_RESOLVE] = resolver_on_resolve,
        [IPC_SESSION_CALL] = session_api_on_call,
        [IPC_ROUTER_STATUS] = routers_on_status,
        [IPC_PONG] = router_health_on_pong,
};

static void peer_free(struct peer *peer)
{
        struct peers *peers = peer->supervisor->peers;

        if (peer->role == 0) {
                peers->n_strangers--;
                TAILQ_REMOVE(&peers->strangers, peer, entry);
        } else
                TAILQ_REMOVE(&peers->list, peer, entry);
        if (peer->hello_deadline)
                event_free(peer->hello_deadline);
        ipc_channel_free(peer->channel);
        free(peer);
}

void peer_drop(struct peer *peer)
{
        if (!peer)
                return;
        waiters_drop_peer(peer);
        if (peer->role == IPC_W)
                workers_hangup(peer);
        else if (peer->role == IPC_R)
                routers_hangup(peer);
        peer_free(peer);
}

void peer_detach(struct peer *peer)
{
        log_requests_end(peer);
        if (peer->session)
                peer->session->worker = NULL;
        peer->session = NULL;
        peer_free(peer);
}

/* ---- HELLO ------------------------------------------------------------------------------------ */

static int hello_worker(struct peer *peer, const struct ipc_hello *hello)
{
        struct session *s = session_find_id(peer->supervisor->sessions, hello->session_id);

        if (!s || s->state == SESSION_KILLING || peer->uid != session_uid(s) || !session_token_equal(hello->token, s->record.token))
                return -EACCES;
        return workers_hello(peer, s, hello);
}

static int hello_router(struct peer *peer, const struct ipc_hello *hello)
{
        char *end;
        unsigned long slot = strtoul(hello->session_id, &end, 10);

        if (end == hello->session_id || *end || slot > UINT16_MAX)
                return -EACCES;
        struct router *router = routers_find(peer->supervisor->routers, (unsigned) slot, hello->token);
        const struct account *account = users_router(peer->supervisor->users);

        /* Its token stands on its command line, which backends can read. */
        if (peer->uid != (account ? account->uid : geteuid()))
                return -EACCES;
        return router ? routers_hello(peer, router, hello->version) : -EACCES;
}

/* It said who it is; whether that is true comes next. */
static void peer_introduce(struct peer *peer, enum ipc_role role)
{
        struct peers *peers = peer->supervisor->peers;

        TAILQ_REMOVE(&peers->strangers, peer, entry);
        TAILQ_INSERT_TAIL(&peers->list, peer, entry);
        peers->n_strangers--;
        peer->role = role;
        event_del(peer->hello_deadline);
        ipc_channel_set_peer(peer->channel, role);
}

static int peer_hello(struct peer *peer, const struct ipc_message *m)
{
        const struct ipc_hello *hello = m->body;

        if (!IPC_STRING_OK(hello->session_id) || !IPC_STRING_OK(hello->token) ||
            (hello->role != IPC_R && hello->role != IPC_W))
                return -EBADMSG;
        peer_introduce(peer, (enum ipc_role) hello->role);
        return peer->role == IPC_W ? hello_worker(peer, hello) : hello_router(peer, hello);
}

static int peer_handle(struct peer *peer, const struct ipc_message *m)
{
        if ((peer->role == 0) != (m->type == IPC_HELLO))
                return -EBADMSG;
        if (m->type == IPC_HELLO)
                return peer_hello(peer, m);
        return handlers[m->type] ? handlers[m->type](peer, m) : -EBADMSG;
}

/* Every backend can connect and say nonsense: a flood of that must not become one of the log. */
static int loudness(const struct peer *peer)
{
        return peer->session || peer->router ? LOG_WARNING : LOG_DEBUG;
}

static void on_message(_unused_ struct ipc_channel *channel, const struct ipc_message *m, void *userdata)
{
        struct peer *peer = userdata;
        int r = peer_handle(peer, m);

        if (r >= 0)
                return;
        (void) log_line_errno(loudness(peer), r, "closing a %s's connection after its %s",
                              peer->role == IPC_W ? "worker" : peer->role == IPC_R ? "router" : "stranger",
                              ipc_type_to_string(m->type));
        peer_drop(peer);
}

static void on_hangup(_unused_ struct ipc_channel *channel, int error, void *userdata)
{
        if (error < 0)
                (void) log_line_errno(loudness(userdata), error, "lost an internal connection");
        peer_drop(userdata);
}

static void on_hello_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        peer_drop(userdata);
}

/* ---- accepting -------------------------------------------------------------------------------- */

static void peer_identify(struct peer *peer)
{
        struct ucred cred;
        socklen_t size = sizeof(cred);

        if (getsockopt(ipc_channel_fd(peer->channel), SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return;
        peer->pid = cred.pid;
        peer->uid = cred.uid;
}

/* A worker says HELLO as soon as it is connected, so that whoever has waited longest has nothing to say. */
static void strangers_limit(struct peers *peers, uid_t uid)
{
        struct peer *peer, *oldest = NULL;
        unsigned n = 0;

        TAILQ_FOREACH(peer, &peers->strangers, entry)
                if (peer->uid == uid) {
                        oldest = oldest ?: peer;
                        n++;
                }
        if (n > STRANGERS_OF_USER_MAX)
                peer_drop(oldest);
        else if (peers->n_strangers > STRANGERS_MAX)
                peer_drop(TAILQ_FIRST(&peers->strangers));
}

static int peer_new(struct peers *peers, int fd_consume)
{
        static const struct ipc_handlers channel_handlers = { .on_message = on_message, .on_hangup = on_hangup };
        struct timeval timeout = usec_to_timeval(HELLO_USEC);
        struct event_base *base = peers->supervisor->base;
        struct peer *peer = calloc(1, sizeof(*peer));

        if (!peer) {
                fd_close(fd_consume);
                return -ENOMEM;
        }
        int r = ipc_channel_new(base, fd_consume, IPC_S, IPC_R | IPC_W, PEER_QUEUE_BYTES_MAX, &channel_handlers, peer,
                                &peer->channel);

        if (r < 0) {
                free(peer);
                return r;
        }
        peer->supervisor = peers->supervisor;
        TAILQ_INIT(&peer->waiters);
        TAILQ_INIT(&peer->log_requests);
        peer->uid = (uid_t) -1;
        peer_identify(peer);
        TAILQ_INSERT_TAIL(&peers->strangers, peer, entry);
        peers->n_strangers++;
        peer->hello_deadline = event_new(base, -1, 0, on_hello_deadline, peer);
        if (!peer->hello_deadline || event_add(peer->hello_deadline, &timeout) < 0) {
                peer_free(peer);
                return -ENOMEM;
        }
        strangers_limit(peers, peer->uid);
        return 0;
}

/* The listener would be readable for ever while an accept fails for want of fds. */
static void accept_pause(struct peers *peers)
{
        struct timeval timeout = usec_to_timeval(ACCEPT_PAUSE_USEC);

        event_del(peers->accept_event);
        event_add(peers->resume_event, &timeout);
}

static void on_resume(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        event_add(((struct peers *) userdata)->accept_event, NULL);
}

static void on_accept(evutil_socket_t listen_fd, _unused_ short what, void *userdata)
{
        struct peers *peers = userdata;

        for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
                int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (fd < 0) {
                        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                                (void) log_errno(-errno, "cannot accept an internal connection");
                                accept_pause(peers);
                        }
                        return;
                }
                int r = peer_new(peers, fd);

                if (r < 0)
                        (void) log_errno(r, "cannot serve an internal connection");
        }
}

int peers_new(struct supervisor *supervisor, int listen_fd, struct peers **ret)
{
        _cleanup_(peers_freep) struct peers *peers = calloc(1, sizeof(*peers));

        if (!peers)
                return -ENOMEM;
        peers->supervisor = supervisor;
        TAILQ_INIT(&peers->list);
        TAILQ_INIT(&peers->strangers);
        peers->listen_fd = listen_fd >= 0 ? dup(listen_fd) : ipc_listen("supervisor");
        if (peers->listen_fd < 0)
                return listen_fd >= 0 ? -errno : peers->listen_fd;
        /* Workers of every user come in; their token says who they are. */
        if (listen_fd < 0 && geteuid() == 0 && chmod("supervisor", 0666) < 0)
                return -errno;
        int r = fd_nonblock(peers->listen_fd, true);

        if (r >= 0)
                r = fd_cloexec(peers->listen_fd, true);
        if (r < 0)
                return r;
        if (listen_fd < 0)
                (void) notify_store_fd("ipc", peers->listen_fd);
        peers->accept_event = event_new(supervisor->base, peers->listen_fd, EV_READ | EV_PERSIST, on_accept, peers);
        peers->resume_event = event_new(supervisor->base, -1, 0, on_resume, peers);
        if (!peers->accept_event || !peers->resume_event || event_add(peers->accept_event, NULL) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(peers);
        return 0;
}

int peers_listen_fd(const struct peers *peers)
{
        return peers->listen_fd;
}

struct peers *peers_free(struct peers *peers)
{
        if (!peers)
                return NULL;
        while (!TAILQ_EMPTY(&peers->strangers))
                peer_free(TAILQ_FIRST(&peers->strangers));
        for (struct peer *peer; (peer = TAILQ_FIRST(&peers->list));) {
                waiters_drop_peer(peer);
                if (peer->session)
                        peer->session->worker = NULL;
                if (peer->router)
                        peer->router->peer = NULL;
                peer_free(peer);
        }
        if (peers->accept_event)
                event_free(peers->accept_event);
        if (peers->resume_event)
                event_free(peers->resume_event);
        fd_close(peers->listen_fd);
        free(peers);
        return NULL;
}
