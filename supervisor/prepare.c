#include "supervisor/prepare.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/config_command.h"
#include "supervisor/environment.h"
#include "supervisor/janitor.h"
#include "supervisor/log_event.h"
#include "supervisor/spawn.h"
#include "supervisor/supervisor.h"
#include "supervisor/users.h"

#include <event2/buffer.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LINE_MAX_BYTES 2048  /* longer lines are cut */
#define LINES_KEPT 20

struct prepare {
        struct tracked_owner owner;
        struct supervisor *supervisor;
        struct tracked *tracked;
        struct child child;
        struct event *output_event, *deadline, *done_event;
        struct evbuffer *output;
        int output_fd;
        char *server, *hash;
        char *lines[LINES_KEPT];     /* ring, n_lines counts all */
        size_t n_lines;
        bool is_over, is_late;       /* is_over: the command itself exited, with code and status */
        int code, status;
        prepare_done_fn on_done;
        void *userdata;
};

bool prepare_is_marked(const struct supervisor *supervisor, const char *hash)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/definitions/%s", supervisor->options.runtime, hash) < 0) {
                path = NULL;
                return false;
        }
        return access(path, F_OK) == 0;
}

static void prepare_mark(const struct prepare *p)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/definitions/%s", p->supervisor->options.runtime, p->hash) < 0) {
                path = NULL;
                return;
        }
        int r = fd_write_file_atomic_at(AT_FDCWD, path, "", 0, 0600);

        if (r < 0)
                (void) log_warning_errno(r, "cannot write %s", path);
}

/* ---- output ----------------------------------------------------------------------------------- */

static void keep_line(struct prepare *p, char *line_consume)
{
        char **slot = &p->lines[p->n_lines++ % LINES_KEPT];

        log_info("server %s: prepare: %s", p->server, line_consume);
        free(*slot);
        *slot = line_consume;
}

/* Whole lines, and what is too long to wait for its end. */
static void take_lines(struct prepare *p, bool at_end)
{
        char *line;

        while ((line = evbuffer_readln(p->output, NULL, EVBUFFER_EOL_LF))) {
                if (strlen(line) > LINE_MAX_BYTES)
                        line[LINE_MAX_BYTES] = '\0';
                keep_line(p, line);
        }
        size_t rest = evbuffer_get_length(p->output);

        if (rest == 0 || (!at_end && rest < LINE_MAX_BYTES))
                return;
        line = calloc(1, rest + 1);
        if (line && evbuffer_remove(p->output, line, rest) >= 0)
                keep_line(p, line);
        else
                free(line);
}

static void on_output(evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct prepare *p = userdata;
        int n = evbuffer_read(p->output, fd, 16 * 1024);

        take_lines(p, n == 0);
        if (n == 0)
                event_del(p->output_event);
}

/* What is still in the pipe: the writers are dead. */
static void drain_output(struct prepare *p)
{
        while (evbuffer_read(p->output, p->output_fd, 16 * 1024) > 0)
                take_lines(p, false);
        take_lines(p, true);
}

/* ---- the end ---------------------------------------------------------------------------------- */

static int failure_make(const struct prepare *p, char **ret, size_t *ret_size)
{
        const char *lines[LINES_KEPT + 1] = { NULL };
        size_t first = p->n_lines > LINES_KEPT ? p->n_lines - LINES_KEPT : 0, n = 0;

        for (size_t i = first; i < p->n_lines; i++)
                lines[n++] = p->lines[i % LINES_KEPT];
        struct failure f = {
                .reason = REASON_start_failed,
                .detail = p->is_late ? "the prepare command did not end in time" : "the prepare command failed",
                .stderr_lines = n > 0 ? lines : NULL,
                .has_exit = p->is_over,
                .exit_code = p->code == CLD_EXITED ? p->status : 0,
                .exit_signal = p->code == CLD_EXITED ? 0 : p->status,
        };

        return failure_to_json(&f, ret, ret_size);
}

/* Runs once the command has exited and nothing of it is left. */
static void on_done_event(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct prepare *p = userdata;
        _cleanup_free_ char *failure = NULL;
        size_t size = 0;

        if (!p->is_over || !tracked_is_empty(p->tracked))
                return;
        drain_output(p);
        (void) tracked_remove(p->tracked);
        if (p->code == CLD_EXITED && p->status == 0 && !p->is_late) {
                prepare_mark(p);
                p->on_done(p, NULL, 0, p->userdata);
                return;
        }
        if (failure_make(p, &failure, &size) < 0)
                failure = strdup("{\"reason\":\"start_failed\",\"infra\":true}");
        log_event_server(LOG_EVENT_PREPARE_FAILED, p->server, "server %s: the prepare command failed (%s %d)%s",
                         p->server, p->code == CLD_EXITED ? "status" : "signal", p->status,
                         p->is_late ? ", out of time" : "");
        p->on_done(p, failure ? failure : "", failure ? strlen(failure) : 0, p->userdata);
}

static void on_child_exit(struct child *child, int code, int status)
{
        struct prepare *p = (struct prepare *) ((char *) child - offsetof(struct prepare, child));

        p->is_over = true;
        p->code = code;
        p->status = status;
        /* What it left running would be nobody's. */
        (void) tracked_kill(p->tracked);
        janitor_wake(p->supervisor->janitor);
        event_active(p->done_event, EV_TIMEOUT, 0);
}

static void on_empty(struct tracked_owner *owner)
{
        event_active(((struct prepare *) owner)->done_event, EV_TIMEOUT, 0);
}

static void on_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        prepare_kill(userdata);
}

void prepare_kill(struct prepare *p)
{
        p->is_late = true;
        (void) tracked_kill(p->tracked);
}

/* ---- the start -------------------------------------------------------------------------------- */

static int events_make(struct prepare *p)
{
        struct event_base *base = p->supervisor->base;
        struct timeval timeout = usec_to_timeval(PREPARE_USEC);

        p->output = evbuffer_new();
        p->output_event = event_new(base, p->output_fd, EV_READ | EV_PERSIST, on_output, p);
        p->deadline = event_new(base, -1, 0, on_deadline, p);
        p->done_event = event_new(base, -1, 0, on_done_event, p);
        if (!p->output || !p->output_event || !p->deadline || !p->done_event ||
            event_add(p->output_event, NULL) < 0 || event_add(p->deadline, &timeout) < 0)
                return -ENOMEM;
        return 0;
}

/* The entry's variables, those that only a session has a value for excepted. */
static char **entry_environment(const struct server_config *server, char *const *of_user)
{
        size_t n = 0, k = 0;

        while (server->env && server->env[n])
                n++;
        _cleanup_free_ char **plain = calloc(n + ACCOUNT_VARIABLES + 1, sizeof(*plain));

        if (!plain)
                return NULL;
        for (size_t i = 0; i < n; i++)
                if (template_uses(server->env[i]) == 0)
                        plain[k++] = server->env[i];
        for (; of_user && *of_user; of_user++)
                if (!environment_names(*of_user, plain))
                        plain[k++] = *of_user;
        return environment_make_foreign(plain);
}

static int prepare_spawn(struct prepare *p, const struct server_config *server, int output_fd)
{
        const struct supervisor_options *options = &p->supervisor->options;
        _cleanup_free_ char *path = NULL, *folder = strdup(server->file);
        _cleanup_account_ struct account account = { .groups = NULL };
        int is_other = users_of_prepare(p->supervisor->users, server, &account);

        if (is_other < 0)
                return is_other;
        _cleanup_(account_environment_freep) char **of_user = is_other ? account_environment(&account, "/") : NULL;
        _cleanup_free_ char **env = entry_environment(server, of_user);
        pid_t pid;
        int pidfd, r;

        if (!env || !folder || (is_other && !of_user))
                return -ENOMEM;
        r = config_command_find(server->prepare[0], environment_path(server->env), options->libexec, &path);
        if (r < 0)
                return r;
        struct spawn_request request = {
                .path = path,
                .argv = (const char *const *) server->prepare,
                .envp = (const char *const *) env,
                .cwd = server->cwd && template_uses(server->cwd) == 0 ? server->cwd : dirname(folder),
                .account = is_other ? &account : NULL,
                .cgroup_fd = tracked_worker_cgroup_fd(p->tracked),
                .nofile = options->nofile,
                .output_fd = output_fd,
        };

        r = spawn_process(&request, &pid, &pidfd);
        if (r < 0)
                return r;
        children_add(p->supervisor->children, &p->child, pid, on_child_exit);
        tracked_set_worker(p->tracked, pid, pidfd);
        return 0;
}

int prepare_new(struct supervisor *supervisor, const struct server_config *server, prepare_done_fn on_done,
                void *userdata, struct prepare **ret)
{
        _cleanup_(prepare_freep) struct prepare *p = calloc(1, sizeof(*p));
        char id[IPC_ID_SIZE];
        int fds[2];

        if (!p)
                return -ENOMEM;
        p->output_fd = -1;
        p->supervisor = supervisor;
        p->owner.on_empty = on_empty;
        p->on_done = on_done;
        p->userdata = userdata;
        p->server = strdup(server->name);
        p->hash = strdup(server->definition_hash);
        if (!p->server || !p->hash)
                return -ENOMEM;
        int r = session_make_id(id);

        if (r < 0)
                return r;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        _cleanup_fd_ int write_fd = fds[1];

        p->output_fd = fds[0];
        r = fd_nonblock(p->output_fd, true);
        if (r >= 0)
                r = events_make(p);
        if (r >= 0)
                r = tracked_new(supervisor->tracking, server->name, "prepare", id, false, &p->owner, &p->tracked);
        if (r >= 0)
                r = prepare_spawn(p, server, write_fd);
        if (r < 0) {
                if (p->tracked)
                        (void) tracked_remove(p->tracked);
                return r;
        }
        *ret = TAKE_PTR(p);
        return 0;
}

struct prepare *prepare_free(struct prepare *p)
{
        if (!p)
                return NULL;
        struct event *const events[] = { p->output_event, p->deadline, p->done_event };

        for (size_t i = 0; i < ELEMENTSOF(events); i++)
                if (events[i])
                        event_free(events[i]);
        if (p->output)
                evbuffer_free(p->output);
        children_remove(&p->child);
        tracked_free(p->tracked);
        fd_close(p->output_fd);
        for (size_t i = 0; i < LINES_KEPT; i++)
                free(p->lines[i]);
        free(p->server);
        free(p->hash);
        free(p);
        return NULL;
}
