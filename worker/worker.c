#include "worker/worker.h"

#include "common/fd.h"
#include "common/log.h"
#include "worker/backend.h"
#include "worker/child.h"
#include "worker/client.h"
#include "worker/door.h"
#include "worker/handles.h"
#include "worker/idle.h"
#include "worker/journal_lines.h"
#include "worker/life.h"
#include "worker/link.h"
#include "worker/log_ring.h"
#include "worker/memory.h"
#include "worker/reaper.h"

#include <signal.h>

#define CLIENTS_MAX 256u /* each has up to two aliases, and the supervisor keeps 512 for a session */

static const struct endpoint_ops *const endpoints[] = {
        [TRANSPORT_STDIO] = &endpoint_stdio,
        [TRANSPORT_HTTP] = &endpoint_http,
};

static void on_idle_expired(void *userdata)
{
        struct worker *worker = userdata;

        life_on_idle(worker->life);
}

static void on_quiet(void *userdata)
{
        struct worker *worker = userdata;

        link_status_changed(worker->link);
        if (worker->endpoint->on_quiet && worker->endpoint_data)
                worker->endpoint->on_quiet(worker);
        life_on_quiet(worker->life);
}

static const struct idle_ops idle_ops = { .on_expired = on_idle_expired, .on_quiet = on_quiet };

static void on_handle(const char *key, bool is_removed, void *userdata)
{
        struct worker *worker = userdata;

        link_alias(worker->link, KEY_HANDLE, key, is_removed);
}

static void on_sigterm(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct worker *worker = userdata;

        life_stop(worker->life, REASON_stopping, 0, worker->spec->rung_usec);
}

static int modules_make(struct worker *worker, int listen_fd)
{
        const struct spec *spec = worker->spec;
        _cleanup_fd_ int fd = listen_fd;
        int r = log_ring_new(spec->log_bytes_max, &worker->logs);

        if (r >= 0)
                r = journal_lines_new(worker->base, worker->logs, spec, &worker->journal_lines);
        if (r >= 0)
                r = clients_new(spec->kind, spec->key, CLIENTS_MAX, &worker->clients);
        if (r >= 0)
                r = handles_new(on_handle, worker, &worker->handles);
        if (r >= 0)
                r = link_new(worker, &worker->link);
        if (r >= 0)
                r = idle_new(worker->base, spec->idle_usec, &idle_ops, worker, &worker->idle);
        if (r >= 0)
                r = life_new(worker, &worker->life);
        if (r >= 0)
                r = backend_new(worker, &worker->backend);
        if (r >= 0 && worker->endpoint->init)
                r = worker->endpoint->init(worker);
        if (r >= 0)
                r = door_new(worker, TAKE_FD(fd), &worker->door);
        return r;
}

int worker_new(struct spec *spec_consume, const struct worker_fds *fds_consume, struct worker **ret)
{
        _cleanup_fd_ int listen_fd = fds_consume->listen, cgroup_fd = fds_consume->cgroup_procs;
        _cleanup_fd_ int folder_fd = fds_consume->cgroup_folder;
        _cleanup_(spec_freep) struct spec *spec = spec_consume;
        _cleanup_(worker_freep) struct worker *worker = calloc(1, sizeof(*worker));

        if (!worker)
                return -ENOMEM;
        worker->base = event_base_new();
        if (!worker->base)
                return -ENOMEM;
        worker->spec = TAKE_PTR(spec);
        worker->backend_nofile = fds_consume->nofile;
        worker->endpoint = worker->spec->kind == KEY_PROBE ? &endpoint_probe : endpoints[worker->spec->transport];
        for (size_t i = 0; i < TEMPLATE__MAX; i++)
                worker->values[i] = worker->spec->values[i];
        int r = memory_new(TAKE_FD(folder_fd), worker->spec->memory_limit, &worker->memory);

        if (r >= 0)
                r = modules_make(worker, TAKE_FD(listen_fd));

        if (r < 0)
                return r;
        worker->sigterm = evsignal_new(worker->base, SIGTERM, on_sigterm, worker);
        if (!worker->sigterm || event_add(worker->sigterm, NULL) < 0)
                return -ENOMEM;
        life_start(worker->life, TAKE_FD(cgroup_fd));
        *ret = TAKE_PTR(worker);
        return 0;
}

struct worker *worker_free(struct worker *worker)
{
        if (!worker)
                return NULL;
        if (worker->endpoint)
                worker->endpoint->done(worker);
        door_free(worker->door);
        life_free(worker->life);
        backend_free(worker->backend);
        memory_free(worker->memory);
        child_free(worker->child);
        reaper_free(worker->reaper);
        idle_free(worker->idle);
        link_free(worker->link);
        handles_free(worker->handles);
        clients_free(worker->clients);
        journal_lines_free(worker->journal_lines);
        log_ring_free(worker->logs);
        if (worker->sigterm)
                event_free(worker->sigterm);
        if (worker->base)
                event_base_free(worker->base);
        spec_free(worker->spec);
        free(worker);
        return NULL;
}

int worker_run(struct worker *worker)
{
        if (event_base_dispatch(worker->base) < 0)
                return EXIT_FAILURE;
        return EXIT_SUCCESS;
}
