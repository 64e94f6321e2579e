#include "worker/link.h"

#include "common/fd.h"
#include "common/log.h"
#include "worker/client.h"
#include "worker/door.h"
#include "worker/handles.h"
#include "worker/idle.h"
#include "worker/life.h"
#include "worker/log_feed.h"
#include "worker/log_ring.h"

#define SUPERVISOR_SOCKET "supervisor"
#define QUEUE_BYTES_MAX (2u * 1024 * 1024)
#define STATUS_USEC (500 * USEC_PER_MSEC)
#define ORPHAN_USEC (5 * USEC_PER_MINUTE) /* without a supervisor nobody can end this session */
#define EXIT_LINES_MAX 20
#define EXIT_BYTES_MAX 4096

struct link {
        struct worker *worker;
        struct ipc_channel *channel;
        struct event *reconnect, *status;
        struct log_feed *feed;
        unsigned attempt;
        usec_t lost_at;
        bool is_welcome;
        bool is_ready, is_gone, has_exited;
        uint32_t backend_pid;
        struct ipc_exited exited;
        struct ipc_era era;          /* of a probe; ERA_UNKNOWN: not found yet */
        struct ipc_gone gone;
        char *gone_blob;
        size_t gone_blob_size;
};

static void status_send(struct link *link, uint32_t cookie)
{
        const struct worker *worker = link->worker;
        bool keeps = worker->endpoint_data && worker->endpoint->kept_bytes;
        size_t kept = keeps ? worker->endpoint->kept_bytes(worker) : 0;
        struct ipc_status status = {
                .in_flight = idle_in_flight(worker->idle),
                .clients = clients_count(worker->clients),
                .requests = worker->requests,
                .bytes_in = worker->bytes_in,
                .bytes_out = worker->bytes_out,
                .idle_usec = idle_since_usec(worker->idle),
                .bytes_buffered = kept + (worker->door ? door_pending_bytes(worker->door) : 0),
        };

        (void) IPC_SEND(link->channel, IPC_STATUS, cookie, &status);
}

static void on_status_due(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct link *link = userdata;

        if (link->is_welcome)
                status_send(link, 0);
}

void link_status_changed(struct link *link)
{
        struct timeval wait = usec_to_timeval(STATUS_USEC);

        if (link->is_welcome && !evtimer_pending(link->status, NULL))
                event_add(link->status, &wait);
}

static void alias_send(struct link *link, enum key_kind kind, const char *key, bool is_removed)
{
        struct ipc_alias alias = { .kind = kind, .is_removed = is_removed };

        STR_COPY(alias.id, link->worker->spec->id);
        STR_COPY(alias.key, key);
        (void) IPC_SEND(link->channel, IPC_ALIAS, 0, &alias);
}

static void exited_send(struct link *link)
{
        _cleanup_free_ char *text = NULL;
        char **lines = NULL;
        size_t size = 0;

        if (log_ring_tail(link->worker->logs, EXIT_LINES_MAX, EXIT_BYTES_MAX, &lines) >= 0)
                text = malloc(EXIT_BYTES_MAX + EXIT_LINES_MAX);
        for (size_t i = 0; text && lines[i]; i++) {
                memcpy(text + size, lines[i], strlen(lines[i]));
                size += strlen(lines[i]);
                text[size++] = '\n';
        }
        log_ring_tail_free(lines);
        (void) ipc_send(link->channel, IPC_BACKEND_EXITED, 0, &link->exited, sizeof(link->exited), text, size);
}

static void gone_send(struct link *link)
{
        (void) ipc_send(link->channel, IPC_GONE, 0, &link->gone, sizeof(link->gone), link->gone_blob,
                        link->gone_blob_size);
}

static void hello_send(struct link *link)
{
        const struct spec *spec = link->worker->spec;
        struct ipc_hello hello = {
                .role = IPC_W,
                .pid = (uint32_t) getpid(),
                .generation = (uint32_t) spec->generation,
                .backend_pid = link->backend_pid,
                .is_ready = link->is_ready,
                .is_gone = link->is_gone,
        };

        STR_COPY(hello.session_id, spec->id);
        STR_COPY(hello.token, spec->token);
        (void) IPC_SEND(link->channel, IPC_HELLO, 0, &hello);
}

static void on_alias(enum key_kind kind, const char *key, void *userdata)
{
        alias_send(userdata, kind, key, false);
}

static void on_handle(const char *key, bool is_removed, void *userdata)
{
        alias_send(userdata, KEY_HANDLE, key, is_removed);
}

/* Everything only the worker knows, in the order in which it happened. */
static void everything_send(struct link *link)
{
        struct ipc_spawned spawned = { .backend_pid = link->backend_pid };

        if (spawned.backend_pid > 0)
                (void) IPC_SEND(link->channel, IPC_SPAWNED, 0, &spawned);
        clients_each_alias(link->worker->clients, on_alias, link);
        handles_each(link->worker->handles, on_handle, link);
        status_send(link, 0);
        if (link->era.era != ERA_UNKNOWN)
                (void) IPC_SEND(link->channel, IPC_ERA, 0, &link->era);
        if (link->has_exited)
                exited_send(link);
        if (link->is_gone)
                gone_send(link);
}

static void on_welcome(struct link *link, _unused_ const struct ipc_message *message)
{
        link->is_welcome = true;
        link->attempt = 0;
        link_status_changed(link);
}

static void on_status_get(struct link *link, const struct ipc_message *message)
{
        status_send(link, message->cookie);
}

static void on_stop(struct link *link, const struct ipc_message *message)
{
        const struct ipc_stop *stop = message->body;
        enum reason reason = stop->reason < REASON__MAX ? (enum reason) stop->reason : REASON_stopping;

        life_stop(link->worker->life, reason, stop->drain_usec, stop->rung_usec);
}

static void on_logs_get(struct link *link, const struct ipc_message *message)
{
        log_feed_get(link->feed, message->cookie, message->body);
}

static void on_logs_cancel(struct link *link, const struct ipc_message *message)
{
        log_feed_cancel(link->feed, message->cookie);
}

static void (*const handlers[IPC__MAX])(struct link *link, const struct ipc_message *message) = {
        [IPC_WELCOME] = on_welcome,
        [IPC_STATUS_GET] = on_status_get,
        [IPC_STOP] = on_stop,
        [IPC_LOGS_GET] = on_logs_get,
        [IPC_LOGS_CANCEL] = on_logs_cancel,
};

static void on_message(_unused_ struct ipc_channel *channel, const struct ipc_message *message, void *userdata)
{
        if (handlers[message->type])
                handlers[message->type](userdata, message);
}

static void reconnect_later(struct link *link)
{
        struct timeval wait = usec_to_timeval(ipc_reconnect_usec(link->attempt++));

        event_add(link->reconnect, &wait);
}

static void on_hangup(_unused_ struct ipc_channel *channel, int error, void *userdata)
{
        struct link *link = userdata;

        if (error < 0)
                log_warning_errno(error, "session %s: connection to the supervisor broke", link->worker->spec->id);
        if (link->is_welcome)
                link->lost_at = now_usec();
        link->is_welcome = false;
        log_feed_set_channel(link->feed, NULL);
        link->channel = ipc_channel_free(link->channel);
        reconnect_later(link);
}

static const struct ipc_handlers ipc_handlers = { .on_message = on_message, .on_hangup = on_hangup };

static int link_connect(struct link *link)
{
        int fd = ipc_connect(SUPERVISOR_SOCKET);

        if (fd < 0)
                return fd;
        int r = ipc_channel_new(link->worker->base, fd, IPC_W, IPC_S, QUEUE_BYTES_MAX, &ipc_handlers, link,
                                &link->channel);

        if (r < 0)
                return r;
        log_feed_set_channel(link->feed, link->channel);
        hello_send(link);
        everything_send(link);
        return 0;
}

static void on_reconnect(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct link *link = userdata;

        if (now_usec() - link->lost_at > ORPHAN_USEC) {
                log_warning("session %s: no supervisor for too long, ending", link->worker->spec->id);
                link->lost_at = now_usec();
                life_stop(link->worker->life, REASON_unavailable, 0, link->worker->spec->rung_usec);
        }
        if (link_connect(link) < 0)
                reconnect_later(link);
}

int link_new(struct worker *worker, struct link **ret)
{
        _cleanup_(link_freep) struct link *link = calloc(1, sizeof(*link));

        if (!link)
                return -ENOMEM;
        link->worker = worker;
        link->lost_at = now_usec();
        link->reconnect = evtimer_new(worker->base, on_reconnect, link);
        link->status = evtimer_new(worker->base, on_status_due, link);
        if (!link->reconnect || !link->status)
                return -ENOMEM;
        int r = log_feed_new(worker->base, worker->logs, &link->feed);

        if (r < 0)
                return r;
        event_active(link->reconnect, EV_TIMEOUT, 0);
        *ret = TAKE_PTR(link);
        return 0;
}

struct link *link_free(struct link *link)
{
        if (!link)
                return NULL;
        log_feed_free(link->feed);
        ipc_channel_free(link->channel);
        if (link->reconnect)
                event_free(link->reconnect);
        if (link->status)
                event_free(link->status);
        free(link->gone_blob);
        free(link);
        return NULL;
}

bool link_is_up(const struct link *link)
{
        return link->is_welcome;
}

void link_spawned(struct link *link, pid_t backend_pid)
{
        struct ipc_spawned spawned = { .backend_pid = (uint32_t) backend_pid };

        link->backend_pid = spawned.backend_pid;
        link->has_exited = false; /* another one had, before it was ready */
        if (link->channel)
                (void) IPC_SEND(link->channel, IPC_SPAWNED, 0, &spawned);
}

void link_ready(struct link *link)
{
        struct ipc_empty empty = { 0 };

        link->is_ready = true;
        if (link->channel)
                (void) IPC_SEND(link->channel, IPC_READY, 0, &empty);
}

void link_exited(struct link *link, const struct ipc_exited *exited)
{
        link->has_exited = true;
        link->backend_pid = 0;
        link->exited = *exited;
        if (link->channel)
                exited_send(link);
}

/* The failure; and, as one more member of it, what is kept. */
static int gone_blob_make(const struct failure *failure, const char *kept, char **ret, size_t *ret_size)
{
        _cleanup_json_writer_ struct json_writer w = { .failed = false };
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = failure_to_json(failure, &text, &size);

        if (r < 0)
                return r;
        json_writer_raw(&w, text, kept ? size - strlen("}") : size);
        if (kept) {
                json_writer_text(&w, ",\"revive\":");
                json_writer_text(&w, kept);
                json_writer_text(&w, "}");
        }
        return json_writer_finish(&w, ret, ret_size);
}

void link_gone(struct link *link, enum gone_cause cause, const struct failure *failure, const char *kept)
{
        link->is_gone = true;
        link->gone.cause = cause;
        free(link->gone_blob);
        link->gone_blob = NULL;
        link->gone_blob_size = 0;
        if (gone_blob_make(failure, kept, &link->gone_blob, &link->gone_blob_size) < 0)
                link->gone_blob = NULL;
        if (link->channel) {
                /* What the session did in all is remembered with its end. */
                status_send(link, 0);
                gone_send(link);
        }
}

void link_era(struct link *link, const struct ipc_era *era)
{
        link->era = *era;
        if (link->channel)
                (void) IPC_SEND(link->channel, IPC_ERA, 0, &link->era);
}

void link_alias(struct link *link, enum key_kind kind, const char *key, bool is_removed)
{
        if (link->channel)
                alias_send(link, kind, key, is_removed);
}
