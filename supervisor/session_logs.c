#include "supervisor/session_logs.h"

#include "supervisor/peers.h"

struct log_request {
        TAILQ_ENTRY(log_request) entry;
        struct peer *peer;         /* NULL: nothing follows any more */
        uint32_t cookie;
        log_lines_fn on_lines;
        void *userdata;
};

int log_request_new(struct session *s, unsigned lines_max, bool follow, log_lines_fn on_lines, void *userdata,
                    struct log_request **ret)
{
        struct peer *peer = s->worker;

        if (!peer)
                return -ENOTCONN;
        struct log_request *request = calloc(1, sizeof(*request));

        if (!request)
                return -ENOMEM;
        request->peer = peer;
        request->cookie = ++peer->next_cookie;
        request->on_lines = on_lines;
        request->userdata = userdata;
        TAILQ_INSERT_TAIL(&peer->log_requests, request, entry);
        struct ipc_logs_get get = { .lines_max = lines_max, .follow = follow };
        int r = IPC_SEND(peer->channel, IPC_LOGS_GET, request->cookie, &get);

        if (r < 0) {
                TAILQ_REMOVE(&peer->log_requests, request, entry);
                free(request);
                return r;
        }
        *ret = request;
        return 0;
}

static void request_detach(struct log_request *request)
{
        TAILQ_REMOVE(&request->peer->log_requests, request, entry);
        request->peer = NULL;
}

struct log_request *log_request_free(struct log_request *request)
{
        if (!request)
                return NULL;
        if (request->peer) {
                struct ipc_empty cancel = { 0 };

                (void) IPC_SEND(request->peer->channel, IPC_LOGS_CANCEL, request->cookie, &cancel);
                request_detach(request);
        }
        free(request);
        return NULL;
}

int log_requests_on_lines(struct peer *peer, const struct ipc_message *m)
{
        const struct ipc_log_lines *info = m->body;
        struct log_request *request;

        TAILQ_FOREACH(request, &peer->log_requests, entry)
                if (request->cookie == m->cookie)
                        break;
        if (!request)
                return 0; /* cancelled, and the lines were under way */
        if (info->is_last)
                request_detach(request);
        request->on_lines(info, m->blob, m->blob_size, request->userdata);
        return 0;
}

void log_requests_end(struct peer *peer)
{
        const struct ipc_log_lines info = { .is_last = 1 };

        for (struct log_request *request; (request = TAILQ_FIRST(&peer->log_requests));) {
                request_detach(request);
                request->on_lines(&info, "", 0, request->userdata);
        }
}
