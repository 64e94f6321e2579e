/* Internal IPC: typed frames over one SOCK_SEQPACKET Unix socket per sibling process.
 *
 * The table ipc_messages.def names every message, its struct and who may send it to whom; a frame
 * that breaks the table ends the connection with -EBADMSG (a sibling's bad frame is a bug). */
#pragma once

#include "common/macro.h"
#include "common/time_util.h"

#include <event2/event.h>

#define IPC_VERSION 2            /* 2: PING, ROUTER_DRAIN */
#define IPC_FRAME_MAX (96 * 1024)  /* header + struct + blob, bytes */
#define IPC_BLOB_MAX (80 * 1024)

#define IPC_ID_SIZE 40        /* session id: 16 lowercase hex digits today; opaque */
#define IPC_TOKEN_SIZE 40     /* 32 lowercase hex digits */
#define IPC_SERVER_SIZE 72    /* server name: 1–64 of [A-Za-z0-9._-] */
#define IPC_PRINCIPAL_SIZE 136
#define IPC_KEY_SIZE 264      /* key: 1–256 bytes 0x21–0x7E */
#define IPC_META_SIZE 136     /* name of a _meta entry: 1–128 bytes 0x21–0x7E */

enum ipc_role {
        IPC_S = 1 << 0, /* supervisor */
        IPC_R = 1 << 1, /* router */
        IPC_W = 1 << 2, /* worker */
};

/* How a key was given; a session has one, its aliases may have others. */
enum key_kind {
        KEY_NAMED = 1,     /* caller-chosen: /s/KEY or the Envmux-Session header, one name space */
        KEY_TRANSPORT = 2, /* Mcp-Session-Id, minted by a router */
        KEY_CLIENT = 3,    /* identity hash of clientInfo (common/identity.h) */
        KEY_META = 4,      /* a _meta entry that a client keeps stable; the server's configuration names it */
        KEY_SHARED = 5,    /* none was given: the principal's one instance (KEY_SHARED_* below) */
        KEY_REQUEST = 6,   /* none was given: minted by a router for one stateless request */
        KEY_HANDLE = 7,    /* only ever an alias: what a KEY_REQUEST session gave out to come back by
                            * (common/handle.h) */
        KEY_PROBE = 8,     /* the supervisor's own disposable backend that shows its era; no router hears of it */
        KEY__MAX,
};

/* The keys of kind KEY_SHARED. One process speaks one era, so a principal may have one of each. */
#define KEY_SHARED_MODERN "shared"
#define KEY_SHARED_LEGACY "shared-legacy"

/* What a definition's backends speak over stdio. A process is pinned to one era by its first message. */
enum backend_era {
        ERA_UNKNOWN = 0, /* not asked yet */
        ERA_LEGACY = 1,  /* MCP up to 2025-11-25 alone: modern requests are refused so that clients fall back */
        ERA_MODERN = 2,  /* it answered server/discover; it may speak the older revisions too */
};

/* What a stateless request (MCP 2026-07-28) that names no key gets. */
enum keyless_policy {
        KEYLESS_SHARED = 0,      /* the principal's one instance of the server */
        KEYLESS_PER_REQUEST = 1, /* a backend of its own */
        KEYLESS_REJECT = 2,      /* an error that says how to name one */
};

enum attach_policy {
        ATTACH_JOIN = 0,
        ATTACH_REPLACE = 1,
        ATTACH_REJECT = 2,
};

enum transport {
        TRANSPORT_STDIO = 0,
        TRANSPORT_HTTP = 1,
};

struct ipc_empty {
        uint32_t reserved;
};

struct ipc_hello {
        uint32_t role;                 /* one enum ipc_role */
        uint32_t pid;
        char session_id[IPC_ID_SIZE];  /* workers; routers: decimal slot number */
        char token[IPC_TOKEN_SIZE];
        uint32_t generation;
        uint32_t backend_pid;          /* 0: none yet or none any more */
        uint8_t is_ready;              /* READY was due already */
        uint8_t is_gone;               /* the door is closed */
        uint32_t version;              /* IPC_VERSION of the sender; 0 before 2 */
};

struct ipc_welcome {
        uint32_t version;              /* IPC_VERSION of the supervisor */
};

struct ipc_router_config {
        uint64_t body_bytes_max;
        uint64_t resolve_timeout_usec; /* how long a request may wait for RESOLVED */
        uint64_t client_idle_usec;     /* keep-alive of idle client connections */
        uint32_t clients_max;          /* open client connections per router */
        uint32_t head_bytes_max;
        char session_header[IPC_SERVER_SIZE]; /* "Envmux-Session" */
};

struct ipc_server {
        char name[IPC_SERVER_SIZE];
        uint8_t is_default;            /* also served without /SERVER */
        uint8_t transport;             /* enum transport */
        uint8_t keys;                  /* bit mask 1 << enum key_kind: what may create or join a session */
        uint8_t era;                   /* enum backend_era; stdio backends only, pushed again when it is learnt */
        uint8_t keyless;               /* enum keyless_policy */
        char meta_key[IPC_META_SIZE];  /* the _meta entry of KEY_META; "" without it */
};

struct ipc_session {
        char id[IPC_ID_SIZE];          /* also the name of the worker's socket */
        char server[IPC_SERVER_SIZE];
        char principal[IPC_PRINCIPAL_SIZE];
        char key[IPC_KEY_SIZE];
        uint32_t kind;
        uint32_t generation;
};

struct ipc_alias {
        char id[IPC_ID_SIZE];
        uint32_t kind;
        char key[IPC_KEY_SIZE];
        uint8_t is_removed;            /* the alias ends, the session stays */
};

struct ipc_session_gone {
        char id[IPC_ID_SIZE];
};

/* What a request that asks for a dormant session does to it (supervisor/dormant.h). */
enum resolve_wake {
        WAKE_REVIVE = 0,               /* its next generation starts */
        WAKE_NOT = 1,                  /* nothing: the client only wants to listen */
        WAKE_LEAVE = 2,                /* its client leaves */
};

struct ipc_resolve {
        char server[IPC_SERVER_SIZE];
        char principal[IPC_PRINCIPAL_SIZE];
        char key[IPC_KEY_SIZE];
        uint32_t kind;
        uint8_t may_create;
        uint8_t has_seed;
        int64_t seed;                  /* ?seed= of the URL */
        char stale_id[IPC_ID_SIZE];    /* a session that answered GONE or refused: do not name it again */
        uint8_t is_modern;             /* for a stateless request: the definition's era is found out first */
        uint8_t wake;                  /* enum resolve_wake */
        char transport[IPC_KEY_SIZE];  /* with WAKE_LEAVE: the Mcp-Session-Id that leaves */
};

enum resolve_code {
        RESOLVE_OK = 0,
        RESOLVE_UNKNOWN = 1,           /* no such key, and may_create was not set */
        RESOLVE_FAILED = 2,            /* blob says why */
        RESOLVE_LEGACY = 3,            /* is_modern was set, and this definition is ERA_LEGACY: nothing was started */
        RESOLVE_DORMANT = 4,           /* the session sleeps on: wake was WAKE_NOT, or WAKE_LEAVE, which is done */
};

struct ipc_resolved {
        uint32_t code;                 /* enum resolve_code */
        uint8_t is_created;            /* this RESOLVE started the session */
        struct ipc_session session;    /* when OK */
};

enum session_call_op {
        SESSION_CALL_PUT = 1,
        SESSION_CALL_GET = 2,
        SESSION_CALL_RESET = 3,
        SESSION_CALL_DELETE = 4,
};

struct ipc_session_call {
        uint32_t op;
        char server[IPC_SERVER_SIZE];
        char principal[IPC_PRINCIPAL_SIZE];
        char key[IPC_KEY_SIZE];        /* KEY_NAMED */
};

struct ipc_session_reply {
        uint32_t http_status;
        uint32_t retry_after_sec;
};

struct ipc_spawned {
        uint32_t backend_pid;
};

struct ipc_status {
        uint32_t in_flight;            /* requests being answered */
        uint32_t clients;              /* attached transports */
        uint64_t requests;             /* answered since the start */
        uint64_t bytes_in;             /* from clients */
        uint64_t bytes_out;            /* to clients */
        uint64_t idle_usec;            /* since the last request ended; 0 while one is in flight */
        uint64_t bytes_buffered;
};

enum gone_cause {
        GONE_IDLE = 1,
        GONE_DELETED = 2,              /* the client's DELETE */
        GONE_BACKEND_EXITED = 3,
        GONE_START_FAILED = 4,
        GONE_START_TIMEOUT = 5,
        GONE_STOPPED = 6,              /* the answer to STOP */
        GONE_REPLACED = 7,             /* another client's initialize, and the server's attach policy */
};

struct ipc_gone {
        uint32_t cause;                /* enum gone_cause */
};

struct ipc_exited {
        uint32_t pid;
        int32_t code;                  /* si_code: CLD_EXITED, CLD_KILLED, CLD_DUMPED */
        int32_t status;                /* si_status */
};

struct ipc_stop {
        uint64_t drain_usec;           /* how long requests in flight may still finish */
        uint64_t rung_usec;            /* wait after closing stdin, and again after SIGTERM */
        uint32_t reason;               /* enum reason given to clients still waiting */
};

struct ipc_era {
        uint32_t era;                  /* enum backend_era, not ERA_UNKNOWN */
        uint8_t is_presumed;           /* it exited or stayed silent, which a backend out of order does too */
};

struct ipc_logs_get {
        uint32_t lines_max;            /* newest lines of the ring, 0: all of it */
        uint8_t follow;                /* then every new line until LOGS_CANCEL */
};

struct ipc_log_lines {
        uint8_t is_last;               /* no further LOG_LINES carries this cookie */
        uint8_t is_stdout;             /* stray stdout rather than stderr */
        uint64_t dropped;              /* lines lost before these */
};

struct ipc_router_status {
        uint32_t clients;
        uint32_t in_flight;
        uint64_t requests;
};

struct ipc_router_drain {
        uint64_t drain_usec;           /* how long connections may still last */
};

enum ipc_type {
#define IPC(number, NAME, body, from, to) IPC_##NAME = number,
#include "common/ipc_messages.def"
#undef IPC
        IPC__MAX,
};

const char *ipc_type_to_string(unsigned type);

/* One received frame. body points at a zero-extended copy of the table's struct; valid during the
 * handler only. */
struct ipc_message {
        enum ipc_type type;
        uint32_t cookie;               /* chosen by the asking side, repeated in the answer */
        const void *body;
        const char *blob;
        size_t blob_size;
};

struct ipc_channel;

/* Handlers may free the channel. */
struct ipc_handlers {
        void (*on_message)(struct ipc_channel *channel, const struct ipc_message *message, void *userdata);
        /* The peer is gone (error 0: EOF), or broke the table (-EBADMSG), or its queue is full
         * (-ENOBUFS). Called once; the owner frees the channel. */
        void (*on_hangup)(struct ipc_channel *channel, int error, void *userdata);
};

/* Takes fd (a connected SOCK_SEQPACKET). self says who we are, peer who the other side may be: a
 * mask before HELLO, narrowed by ipc_channel_set_peer. queue_bytes_max bounds what waits for a
 * slow peer. */
int ipc_channel_new(struct event_base *base, int fd_consume, enum ipc_role self, unsigned peer,
                    size_t queue_bytes_max, const struct ipc_handlers *handlers, void *userdata,
                    struct ipc_channel **ret);
struct ipc_channel *ipc_channel_free(struct ipc_channel *channel);
DEFINE_CLEANUP(struct ipc_channel, ipc_channel_free)

void ipc_channel_set_peer(struct ipc_channel *channel, enum ipc_role peer);
void ipc_channel_set_userdata(struct ipc_channel *channel, void *userdata);
int ipc_channel_fd(const struct ipc_channel *channel);
/* Bytes that wait for a slow peer: who sends much asks first. */
size_t ipc_channel_queued_bytes(const struct ipc_channel *channel);

/* Sends now or queues. body_size must be the table's size for type. -ENOBUFS: the queue is full and
 * on_hangup follows from the loop; -EPIPE: the peer is gone, likewise. */
int ipc_send(struct ipc_channel *channel, enum ipc_type type, uint32_t cookie, const void *body,
             size_t body_size, const void *blob, size_t blob_size);

/* ipc_send of a struct by name, without a blob. */
#define IPC_SEND(channel, type, cookie, body_ptr) \
        ipc_send((channel), (type), (cookie), (body_ptr), sizeof(*(body_ptr)), NULL, 0)

/* Binds and listens on path (at most 107 bytes), mode 0600, replacing a dead socket. Returns fd. */
int ipc_listen(const char *path);

/* Non-blocking connect. -EAGAIN: the backlog is full, try again after a jittered wait. Returns fd. */
int ipc_connect(const char *path);

/* A reconnect delay for the n-th try (n from 0): 1 ms doubling to 250 ms, jittered by ±50 %. */
usec_t ipc_reconnect_usec(unsigned attempt);

/* True when a fixed char array of a received struct holds a NUL. */
#define IPC_STRING_OK(array) (memchr((array), '\0', sizeof(array)) != NULL)
