#include "supervisor/launch.h"

#include "common/fd.h"
#include "common/json_scan.h"
#include "common/log.h"
#include "supervisor/config_command.h"
#include "supervisor/environment.h"
#include "supervisor/lifecycle.h"
#include "supervisor/session_limits.h"
#include "supervisor/spawn.h"
#include "supervisor/supervisor.h"
#include "supervisor/users.h"
#include "supervisor/worker_spec.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define FDS_SPARE 64
#define WORKER_BACKLOG 1024

static int fail(int error, char **ret_failure, const char *what)
{
        _cleanup_free_ char *detail = NULL;

        if (asprintf(&detail, "%s: %s", what, strerror(-error)) < 0)
                detail = NULL;
        struct failure f = { .reason = REASON_start_failed, .detail = detail };
        size_t size;

        (void) failure_to_json(&f, ret_failure, &size);
        return error;
}

/* As a shell would need it written, so that empty words and spaces show. */
static void describe_word(struct json_writer *w, const char *word)
{
        if (*word && !strpbrk(word, " \t\n\"'$`\\|&;<>()*?[]{}#~")) {
                json_writer_format(w, " %s", word);
                return;
        }
        json_writer_text(w, " '");
        for (; *word; word++)
                if (*word == '\'')
                        json_writer_text(w, "'\\''");
                else
                        json_writer_raw(w, word, 1);
        json_writer_text(w, "'");
}

int launch_describe_command(struct session *s, const struct server_config *server, const char *path)
{
        char seed[32] = "";
        const char *const values[TEMPLATE__MAX] = {
                [TEMPLATE_SEED] = seed,
                [TEMPLATE_SESSION] = s->record.id,
                [TEMPLATE_PORT] = "${envmux:port}",
                [TEMPLATE_SOCKET] = "${envmux:socket}",
                [TEMPLATE_CONFIG_FILE] = s->paths.config_file,
                [TEMPLATE_WORKSPACE] = s->paths.work,
        };
        _cleanup_json_writer_ struct json_writer w = { .failed = false };

        if (s->record.has_seed)
                (void) snprintf(seed, sizeof(seed), "%" PRId64, s->record.seed);
        json_writer_text(&w, path);
        for (char **arg = server->args; arg && *arg; arg++) {
                _cleanup_free_ char *expanded = NULL;
                int r = template_expand(*arg, values, &expanded);

                if (r < 0)
                        return r;
                describe_word(&w, expanded);
        }
        free(s->command);
        s->command = NULL;
        return json_writer_finish(&w, &s->command, NULL);
}

/* A listening socket in the folder of worker sockets, which is our working directory; for routers alone. */
static int listen_worker(const char *id, const struct account *router)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        if (STR_COPY(address.sun_path, id) < 0)
                return -ENAMETOOLONG;
        if (unlink(id) < 0 && errno != ENOENT)
                return -errno;
        if (router && fchmod(fd, 0600) < 0)
                return -errno;
        if (bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, WORKER_BACKLOG) < 0)
                return -errno;
        if (router && (chown(id, 0, router->gid) < 0 || chmod(id, 0660) < 0))
                return -errno;
        return TAKE_FD(fd);
}

static void on_worker_exit(struct child *child, int code, int status)
{
        struct session *s = (struct session *) ((char *) child - offsetof(struct session, worker_child));

        bool was_killed_by_us = s->state == SESSION_KILLING && code == CLD_KILLED && status == SIGKILL;

        if (!was_killed_by_us && (code != CLD_EXITED || status != 0))
                log_warning("session %s: its worker ended by %s %d", s->record.id,
                            code == CLD_EXITED ? "status" : "signal", status);
        /* A worker with a connection is gone when that says EOF: what it still said comes first. */
        if (!s->worker)
                session_dispatch(s, EVENT_WORKER_LOST);
}

static int spawn_worker(struct session *s, const struct account *account, int listen_fd, int spec_fd)
{
        struct supervisor *supervisor = s->supervisor;
        _cleanup_(account_environment_freep) char **own = account ? account_environment(account, s->paths.work) : NULL;
        _cleanup_free_ char **env = environment_make(own);
        _cleanup_free_ char *path = NULL, *name = NULL;
        _cleanup_fd_ int procs_fd = tracked_open_backend_procs(s->tracked);
        _cleanup_fd_ int folder_fd = tracked_open_backend_folder(s->tracked);
        pid_t pid;
        int pidfd;

        if (asprintf(&path, "%s/envmux-worker", supervisor->options.libexec) < 0)
                path = NULL;
        if (asprintf(&name, "%s/%s", s->record.server, s->record.id) < 0)
                name = NULL;
        if (!env || !path || !name || (account && !own))
                return -ENOMEM;
        const char *const argv[] = { "envmux-worker", name, NULL };
        const int fds[] = { listen_fd, spec_fd, procs_fd, folder_fd };
        struct spawn_request request = {
                .path = path,
                .argv = argv,
                .envp = (const char *const *) env,
                .fds = fds,
                .n_fds = ELEMENTSOF(fds),
                .account = account,
                .cgroup_fd = tracked_worker_cgroup_fd(s->tracked),
                .nofile = supervisor->options.nofile,
                .output_fd = -1,
        };
        int r = spawn_process(&request, &pid, &pidfd);

        if (r < 0)
                return r;
        s->worker_pid = pid;
        s->worker_parent = getpid();
        children_add(supervisor->children, &s->worker_child, pid, on_worker_exit);
        tracked_set_worker(s->tracked, pid, pidfd);
        return 0;
}

static int track(struct session *s)
{
        const struct record *record = &s->record;

        return tracked_new(s->supervisor->tracking, record->server, record->principal, record->id, false, &s->owner,
                           &s->tracked);
}

static int clone_worker(struct session *s, const struct server_config *server, const struct account *account,
                        const char *command)
{
        _cleanup_free_ char *spec = NULL;
        size_t size;
        int r = worker_spec_build(s, server, command, &spec, &size);

        if (r < 0)
                return r;
        _cleanup_fd_ int spec_fd = fd_memfd_new("envmux-spec", spec, size);

        if (spec_fd < 0)
                return spec_fd;
        _cleanup_fd_ int listen_fd = listen_worker(s->record.id, users_router(s->supervisor->users));

        if (listen_fd < 0)
                return listen_fd;
        r = spawn_worker(s, account, listen_fd, spec_fd);
        if (r < 0)
                return r;
        s->tracking = strdup(tracked_describe(s->tracked));
        return 0;
}

/* A worker that was started must be able to connect, and the control socket to be asked why others are not: the
 * last descriptors are for them. The lowest number that is free is given out first, so that the highest ones are in
 * use only when few are left. */
static int spare_descriptors(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -errno;
        int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC,
                       limit.rlim_cur > FDS_SPARE ? (int) (MIN_OF(limit.rlim_cur, (rlim_t) INT_MAX) - FDS_SPARE) : 0);

        if (fd < 0)
                return errno == EINVAL ? -EMFILE : -errno;
        fd_close(fd);
        return 0;
}

/* Before the clone the record must say that there may be a worker. What it is revived with stays in there until that
 * worker is heard of (dormant_woke): if none ever is, the session is dormant again. */
static int start_worker(struct session *s, const struct server_config *server, const struct account *account,
                        const char *command, char **ret_failure)
{
        s->record.dormant_usec = 0;
        int r = record_write(s->supervisor->records_fd, &s->record);

        if (r < 0)
                (void) fail(r, ret_failure, "cannot write its record");
        else if ((r = clone_worker(s, server, account, command)) < 0)
                (void) fail(r, ret_failure, "cannot start its worker");
        return r;
}

int launch_worker(struct session *s, char **ret_failure)
{
        struct supervisor *supervisor = s->supervisor;
        const struct server_config *server = config_find(supervisor->config, s->record.server);
        _cleanup_account_ struct account account = { .groups = NULL };
        _cleanup_free_ char *command = NULL;

        if (!server)
                return fail(-ENOENT, ret_failure, "the server is not configured any more");
        lifecycle_set_definition(s, server);
        int r = spare_descriptors();

        if (r < 0)
                return fail(r, ret_failure, "the supervisor is short of file descriptors");
        r = config_command_find(server->command, environment_path(server->env), supervisor->options.libexec,
                                &command);

        if (r < 0)
                return fail(r, ret_failure, server->command);
        int is_other = users_assign(supervisor->users, server, &s->record, &account);

        if (is_other < 0)
                return fail(is_other, ret_failure, "cannot give it a user");
        const struct account *as = is_other > 0 ? &account : NULL;

        r = track(s);
        if (r < 0)
                return fail(r, ret_failure, "cannot track its processes");
        r = session_limits_apply(s, server);
        if (r < 0)
                return fail(r, ret_failure, "cannot limit it");
        r = workspace_make(supervisor->workspaces, s->record.id, s->record.config, as, &s->paths);
        if (r < 0)
                return fail(r, ret_failure, "cannot make its workspace");
        r = launch_describe_command(s, server, command);
        if (r < 0)
                return fail(r, ret_failure, "cannot describe its command");
        return start_worker(s, server, as, command, ret_failure);
}

void launch_remove_files(struct session *s)
{
        struct supervisor *supervisor = s->supervisor;
        const char *id = s->record.id;
        int r = 0;

        if (unlinkat(supervisor->sockets_fd, id, 0) < 0 && errno != ENOENT)
                r = -errno;
        if (r < 0)
                (void) log_warning_errno(r, "session %s: cannot remove its socket", id);
        r = workspace_discard(supervisor->workspaces, id);
        if (r < 0)
                (void) log_warning_errno(r, "session %s: cannot remove its workspace", id);
}

void launch_remove_record(struct session *s)
{
        const char *id = s->record.id;
        int r = record_remove(s->supervisor->records_fd, id);
        if (r < 0)
                (void) log_warning_errno(r, "session %s: cannot remove its record", id);
}
