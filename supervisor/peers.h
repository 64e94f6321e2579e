/* The internal IPC at the supervisor's side: accepts routers and workers, checks who they are, and
 * hands each message to its handler. */
#pragma once

#include "common/ipc.h"
#include "supervisor/session.h"
#include "supervisor/waiter.h"

#define PEER_QUEUE_BYTES_MAX (64u * 1024 * 1024) /* towards one peer that does not read; a whole dump fits */

struct peers;
struct router;

TAILQ_HEAD(log_request_list, log_request);

/* One connection. role is 0 until its HELLO was accepted. */
struct peer {
        TAILQ_ENTRY(peer) entry;             /* among the strangers while role is 0 */
        struct supervisor *supervisor;
        struct ipc_channel *channel;
        pid_t pid;                           /* who connected, by the kernel's word */
        uid_t uid;
        enum ipc_role role;
        struct event *hello_deadline;
        struct session *session;             /* a worker's; NULL once the session ended */
        struct router *router;               /* a router's */
        struct waiter_list waiters;          /* a router's unanswered questions */
        unsigned n_waiters;
        struct log_request_list log_requests; /* asked of a worker */
        uint32_t next_cookie;
};

/* Handles one message of an accepted peer. Negative: the peer broke the protocol, its connection ends. */
typedef int (*peer_handler)(struct peer *peer, const struct ipc_message *message);

/* Listens on RUNTIME/sockets/supervisor, or on listen_fd (borrowed) when it is not negative. The
 * listening fd is stored with the service manager. */
int peers_new(struct supervisor *supervisor, int listen_fd, struct peers **ret);
struct peers *peers_free(struct peers *peers);
DEFINE_CLEANUP(struct peers, peers_free)

/* The listening socket; borrowed. */
int peers_listen_fd(const struct peers *peers);

/* Ends the connection and what depends on it: a worker's session loses its worker, a router's slot its
 * router. NULL is fine. */
void peer_drop(struct peer *peer);

/* Ends a worker's connection when its session is over: nothing follows from it. */
void peer_detach(struct peer *peer);
