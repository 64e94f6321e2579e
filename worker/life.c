#include "worker/life.h"

#include "common/log.h"
#include "worker/backend.h"
#include "worker/client.h"
#include "worker/door.h"
#include "worker/idle.h"
#include "worker/link.h"
#include "worker/log_ring.h"
#include "worker/memory.h"
#include "worker/reaper.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#define FAILURE_LINES_MAX 20
#define FAILURE_BYTES_MAX 4096
#define LINGER_TICK_USEC (20 * USEC_PER_MSEC)
#define LINGER_GONE_USEC (100 * USEC_PER_MSEC) /* routers hear of the end; what they sent before is told GONE */
#define LINGER_MAX_USEC (2 * USEC_PER_SEC)     /* for clients that read slowly, a first request still on its way,
                                                * a supervisor that is coming back */

enum phase { LIFE_STARTING, LIFE_SERVING, LIFE_DRAINING, LIFE_STOPPING, LIFE_LINGERING, LIFE_DONE };

static const char *const phase_names[] = {
        [LIFE_STARTING] = "starting", [LIFE_SERVING] = "serving", [LIFE_DRAINING] = "draining",
        [LIFE_STOPPING] = "stopping", [LIFE_LINGERING] = "lingering", [LIFE_DONE] = "done",
};

struct life {
        struct worker *worker;
        enum phase phase;
        struct event *timer;  /* of the phase */
        struct event *quiet;  /* on_quiet, from the loop rather than from inside an answer */
        usec_t rung_usec;
        usec_t drain_until, gone_at, linger_at;
        bool is_start_failure;
        struct failure failure; /* what is answered from the end on; its strings are the two below */
        char *detail;
        char **lines;
};

static void phase_set(struct life *life, enum phase phase, usec_t usec)
{
        struct timeval wait = usec_to_timeval(usec);

        log_debug("session %s: %s -> %s", life->worker->spec->id, phase_names[life->phase], phase_names[phase]);
        life->phase = phase;
        event_del(life->timer);
        if (usec != USEC_INFINITY)
                event_add(life->timer, &wait);
}

/* Everything still in flight is answered; then the backend is led out. */
static void backend_stop(struct life *life)
{
        struct worker *worker = life->worker;

        phase_set(life, LIFE_STOPPING, USEC_INFINITY);
        worker->endpoint->fail_all(worker, &life->failure);
        reaper_stop(worker->reaper, life->rung_usec);
}

/* The backend's end, or its failure to start, may have been the kernel's doing; an end with status 0 is its own. */
static bool was_short_of_memory(const struct life *life, enum reason reason, const char **ret_detail)
{
        const struct failure *f = &life->failure;

        return (reason == REASON_backend_exited || reason == REASON_start_failed) &&
               !(f->has_exit && f->exit_code == 0 && f->exit_signal == 0) &&
               memory_was_short(life->worker->memory, ret_detail);
}

static void failure_fill(struct life *life, enum reason reason, const char *detail)
{
        if (was_short_of_memory(life, reason, &detail))
                reason = REASON_out_of_memory;
        life->failure.reason = reason;
        if (detail && !life->detail)
                life->detail = strdup(detail);
        life->failure.detail = life->detail;
        if (!reason_is_infra(reason) || life->lines)
                return;
        backend_drain(life->worker->backend);
        if (log_ring_tail(life->worker->logs, FAILURE_LINES_MAX, FAILURE_BYTES_MAX, &life->lines) >= 0)
                life->failure.stderr_lines = (const char *const *) life->lines;
}

/* What a fresh backend can go on with after this end, or NULL. */
static char *keep(struct worker *worker, enum gone_cause cause)
{
        char *kept = NULL;

        if (cause != GONE_IDLE || !worker->spec->revives || !worker->endpoint->keep)
                return NULL;
        int r = worker->endpoint->keep(worker, &kept);

        if (r < 0 && r != -ENOENT)
                (void) log_warning_errno(r, "session %s: it cannot be revived", worker->spec->id);
        return r < 0 ? NULL : kept;
}

/* Until the earliest end that was asked for. */
static void drain(struct life *life, usec_t drain_usec)
{
        usec_t until = usec_add(now_usec(), drain_usec);

        life->drain_until = life->phase == LIFE_DRAINING ? MIN_OF(life->drain_until, until) : until;
        phase_set(life, LIFE_DRAINING, usec_until(life->drain_until));
}

static void end(struct life *life, enum gone_cause cause, enum reason reason, const char *detail, usec_t drain_usec)
{
        struct worker *worker = life->worker;
        bool is_start_failure = cause == GONE_START_FAILED || cause == GONE_START_TIMEOUT;
        _cleanup_free_ char *kept = NULL;

        if (life->phase > LIFE_SERVING)
                return;
        life->is_start_failure = is_start_failure;
        failure_fill(life, reason, detail);
        idle_stop(worker->idle);
        door_close(worker->door, is_start_failure || cause == GONE_BACKEND_EXITED ? &life->failure : NULL);
        life->gone_at = now_usec();
        kept = keep(worker, cause);
        link_gone(worker->link, cause, &life->failure, kept);
        if (drain_usec > 0 && idle_in_flight(worker->idle) > 0)
                drain(life, drain_usec);
        else
                backend_stop(life);
}

void life_end(struct life *life, enum gone_cause cause, enum reason reason, const char *detail)
{
        end(life, cause, reason, detail, 0);
}

bool life_is_replaced(const struct life *life)
{
        const struct worker *worker = life->worker;

        return worker->spec->attach == ATTACH_REPLACE && clients_count(worker->clients) > 0;
}

void life_stop(struct life *life, enum reason reason, usec_t drain_usec, usec_t rung_usec)
{
        life->rung_usec = MIN_OF(life->rung_usec, rung_usec);
        if (life->phase <= LIFE_SERVING)
                end(life, GONE_STOPPED, reason, NULL, drain_usec);
        else if (life->phase == LIFE_DRAINING)
                drain(life, drain_usec);
        else if (life->phase == LIFE_STOPPING)
                reaper_stop(life->worker->reaper, life->rung_usec);
}

void life_ready(struct life *life)
{
        if (life->phase != LIFE_STARTING)
                return;
        phase_set(life, LIFE_SERVING, USEC_INFINITY);
        /* Nothing is started from now on. What the backend was started with stays as it is: it may need sudo or the
         * like where its user is ours. */
        (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        link_ready(life->worker->link);
        idle_start(life->worker->idle);
}

bool life_is_starting(const struct life *life)
{
        return life->phase == LIFE_STARTING;
}

usec_t life_request_usec(const struct life *life)
{
        const struct spec *spec = life->worker->spec;

        return usec_add(spec->request_usec, life->phase == LIFE_STARTING ? spec->start_usec : 0);
}

void life_on_idle(struct life *life)
{
        if (life->phase == LIFE_SERVING)
                life_end(life, GONE_IDLE, REASON_session_ended, "it was idle for too long");
}

void life_on_quiet(struct life *life)
{
        if (life->phase == LIFE_DRAINING)
                event_active(life->quiet, EV_TIMEOUT, 0);
}

static void on_quiet(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct life *life = userdata;

        if (life->phase == LIFE_DRAINING && idle_in_flight(life->worker->idle) == 0)
                backend_stop(life);
}

/* The request that caused the start has not come in yet. */
static bool first_request_is_due(const struct life *life)
{
        const struct spec *spec = life->worker->spec;

        return life->is_start_failure && spec->awaits_request && spec->kind != KEY_PROBE &&
               life->worker->requests == 0;
}

static void linger(struct life *life)
{
        struct worker *worker = life->worker;
        bool is_over = usec_until(usec_add(life->linger_at, LINGER_MAX_USEC)) == 0;
        bool is_told = usec_until(usec_add(life->gone_at, LINGER_GONE_USEC)) == 0 && link_is_up(worker->link);

        if (is_over || (is_told && door_is_flushed(worker->door) && !first_request_is_due(life))) {
                phase_set(life, LIFE_DONE, USEC_INFINITY);
                event_base_loopbreak(worker->base);
        } else {
                phase_set(life, LIFE_LINGERING, LINGER_TICK_USEC);
        }
}

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct life *life = userdata;

        switch (life->phase) {
        case LIFE_STARTING:
                life_end(life, GONE_START_TIMEOUT, REASON_start_timeout, NULL);
                break;
        case LIFE_DRAINING:
                backend_stop(life);
                break;
        case LIFE_LINGERING:
                linger(life);
                break;
        case LIFE_SERVING:
        case LIFE_STOPPING:
        case LIFE_DONE:
                break;
        }
}

static void on_close_input(void *userdata)
{
        struct life *life = userdata;

        life->worker->endpoint->close_input(life->worker);
}

static void on_empty(bool is_clean, void *userdata)
{
        struct life *life = userdata;

        if (!is_clean)
                log_warning("session %s: a process of the backend survives SIGKILL", life->worker->spec->id);
        life->linger_at = now_usec();
        linger(life);
}

static void exit_remember(struct life *life, int code, int status)
{
        life->failure.has_exit = true;
        life->failure.exit_code = code == CLD_EXITED ? status : 0;
        life->failure.exit_signal = code == CLD_EXITED ? 0 : status;
}

static void on_exited(pid_t pid, int code, int status, void *userdata)
{
        struct life *life = userdata;
        struct worker *worker = life->worker;
        struct ipc_exited exited = { .pid = (uint32_t) pid, .code = code, .status = status };

        const char *exec_error = backend_exec_error(worker->backend);

        backend_drain(worker->backend);
        worker->endpoint->on_child_exited(worker);
        link_exited(worker->link, &exited);
        if (life->phase == LIFE_STARTING && backend_restart(worker->backend))
                return;
        if (!exec_error && life->phase <= LIFE_DRAINING)
                exit_remember(life, code, status);
        if (life->phase == LIFE_STARTING) {
                life_end(life, GONE_START_FAILED, REASON_start_failed, exec_error);
        } else if (life->phase == LIFE_SERVING) {
                life_end(life, GONE_BACKEND_EXITED, REASON_backend_exited, NULL);
        } else if (life->phase == LIFE_DRAINING) {
                failure_fill(life, REASON_backend_exited, NULL);
                backend_stop(life);
        }
}

static const struct reaper_ops reaper_ops = {
        .on_exited = on_exited,
        .on_close_input = on_close_input,
        .on_empty = on_empty,
};

void life_start(struct life *life, int cgroup_procs_fd_consume)
{
        phase_set(life, LIFE_STARTING, life->worker->spec->start_usec);
        int r = backend_start(life->worker->backend, cgroup_procs_fd_consume);

        if (r < 0)
                life_end(life, GONE_START_FAILED, REASON_start_failed, strerror(-r));
}

int life_new(struct worker *worker, struct life **ret)
{
        struct life *life = calloc(1, sizeof(*life));

        if (!life)
                return -ENOMEM;
        life->worker = worker;
        life->rung_usec = worker->spec->rung_usec;
        life->timer = evtimer_new(worker->base, on_timer, life);
        life->quiet = evtimer_new(worker->base, on_quiet, life);
        int r = life->timer && life->quiet ? reaper_new(worker->base, &reaper_ops, life, &worker->reaper) : -ENOMEM;

        if (r < 0) {
                life_free(life);
                return r;
        }
        *ret = life;
        return 0;
}

struct life *life_free(struct life *life)
{
        if (!life)
                return NULL;
        if (life->timer)
                event_free(life->timer);
        if (life->quiet)
                event_free(life->quiet);
        free(life->detail);
        log_ring_tail_free(life->lines);
        free(life);
        return NULL;
}
