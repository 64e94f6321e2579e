#include "worker/backend.h"

#include "common/fd.h"
#include "worker/child.h"
#include "worker/drain.h"
#include "worker/life.h"
#include "worker/link.h"
#include "worker/reaper.h"

#include <stdio.h>

struct backend {
        struct worker *worker;
        struct drain *drains[LOG_SOURCE__MAX];
        int cgroup_procs_fd; /* -1: none */
        bool is_executed;
        char *exec_error;
};

int backend_new(struct worker *worker, struct backend **ret)
{
        struct backend *backend = calloc(1, sizeof(*backend));

        if (!backend)
                return -ENOMEM;
        backend->worker = worker;
        backend->cgroup_procs_fd = -1;
        *ret = backend;
        return 0;
}

static void outputs_free(struct backend *backend)
{
        for (size_t i = 0; i < ELEMENTSOF(backend->drains); i++)
                backend->drains[i] = drain_free(backend->drains[i]);
}

struct backend *backend_free(struct backend *backend)
{
        if (!backend)
                return NULL;
        outputs_free(backend);
        fd_close(backend->cgroup_procs_fd);
        free(backend->exec_error);
        free(backend);
        return NULL;
}

static void on_executed(_unused_ struct child *child, void *userdata)
{
        struct backend *backend = userdata;

        backend->is_executed = true;
        if (!backend->worker->spec->awaits_request)
                life_ready(backend->worker->life);
}

/* The child's exit follows; clients hear this instead of its status. */
static void on_exec_failed(_unused_ struct child *child, const char *what, int error, void *userdata)
{
        struct backend *backend = userdata;

        if (asprintf(&backend->exec_error, "%s: %s: %s", backend->worker->spec->command, what, strerror(error)) < 0)
                backend->exec_error = NULL;
}

static const struct child_ops child_ops = { .on_executed = on_executed, .on_exec_failed = on_exec_failed };

/* What the endpoint did not take goes to the log ring. */
static int outputs_take(struct backend *backend)
{
        struct worker *worker = backend->worker;
        int stdout_fd = child_take_stdout(worker->child), r = 0;

        if (stdout_fd >= 0)
                r = drain_new(worker->base, stdout_fd, worker->logs, LOG_STDOUT, &backend->drains[LOG_STDOUT]);
        int r2 = drain_new(worker->base, child_take_stderr(worker->child), worker->logs, LOG_STDERR,
                           &backend->drains[LOG_STDERR]);

        return r < 0 ? r : r2;
}

bool backend_is_executed(const struct backend *backend)
{
        return backend->is_executed;
}

static int spawn(struct backend *backend)
{
        struct worker *worker = backend->worker;
        _cleanup_(launch_freep) struct launch *launch = NULL;
        int r = launch_new(worker->spec, worker->values, environ, &launch);

        if (r >= 0)
                launch->nofile = worker->backend_nofile;
        if (r >= 0)
                r = child_spawn(worker->base, launch, backend->cgroup_procs_fd, &child_ops, backend, &worker->child);
        if (r < 0)
                return r;
        reaper_watch(worker->reaper, child_pid(worker->child));
        link_spawned(worker->link, child_pid(worker->child));
        r = worker->endpoint->on_spawned(worker);
        int r2 = outputs_take(backend);

        return r < 0 ? r : r2;
}

int backend_start(struct backend *backend, int cgroup_procs_fd_consume)
{
        const struct endpoint_ops *endpoint = backend->worker->endpoint;

        backend->cgroup_procs_fd = cgroup_procs_fd_consume;
        int r = endpoint->prepare ? endpoint->prepare(backend->worker) : 0;

        return r < 0 ? r : spawn(backend);
}

bool backend_restart(struct backend *backend)
{
        struct worker *worker = backend->worker;

        if (backend->exec_error || !worker->endpoint->may_respawn || !worker->endpoint->may_respawn(worker))
                return false;
        outputs_free(backend);
        worker->child = child_free(worker->child);
        return spawn(backend) >= 0;
}

void backend_drain(struct backend *backend)
{
        for (size_t i = 0; i < ELEMENTSOF(backend->drains); i++)
                if (backend->drains[i])
                        drain_now(backend->drains[i]);
}

const char *backend_exec_error(struct backend *backend)
{
        child_settle(backend->worker->child);
        return backend->exec_error;
}
