#include "supervisor/rebuild.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/process_tree.h"
#include "supervisor/admission.h"
#include "supervisor/config_command.h"
#include "supervisor/environment.h"
#include "supervisor/launch.h"
#include "supervisor/lifecycle.h"
#include "supervisor/supervisor.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define COMMAND_LINE_MAX 4096
#define RUNG_USEC (2 * USEC_PER_SEC) /* for sessions whose server is not configured any more */

/* A cgroup that no record explains. */
struct stray {
        struct tracked_owner owner; /* first */
        LIST_ENTRY(stray) entry;
        struct rebuild *rebuild;
        struct tracked *tracked;
};

struct rebuild {
        struct supervisor *supervisor;
        LIST_HEAD(, stray) strays;
};

/* ---- sessions from records -------------------------------------------------------------------- */

static void restore_definition(struct session *s, const struct server_config *server)
{
        _cleanup_free_ char *command = NULL;

        s->rung_usec = RUNG_USEC;
        lifecycle_set_definition(s, server);
        if (server && s->record.definition_hash && streq(s->record.definition_hash, server->definition_hash) &&
            config_command_find(server->command, environment_path(server->env), s->supervisor->options.libexec,
                                &command) >= 0)
                (void) launch_describe_command(s, server, command);
}

static int restore(struct supervisor *supervisor, struct record *record_consume)
{
        _cleanup_(session_freep) struct session *s = session_new(supervisor, record_consume);

        if (!s)
                return -ENOMEM;
        const struct record *record = &s->record;
        int r = tracked_new(supervisor->tracking, record->server, record->principal, record->id, true, &s->owner,
                            &s->tracked);

        if (r >= 0)
                r = workspace_find(supervisor->workspaces, record->id, &s->paths);
        if (r >= 0)
                r = session_table_add(supervisor->sessions, s);
        if (r < 0)
                return r;
        struct session *added = TAKE_PTR(s);
        const struct server_config *server = config_find(supervisor->config, added->record.server);

        added->tracking = strdup(tracked_describe(added->tracked));
        restore_definition(added, server);
        lifecycle_arm_lifetime(added);
        r = admission_adopt(supervisor->admission, added);
        session_set_state(added, SESSION_ADOPTING);
        if (!server)
                lifecycle_stop(added, REASON_stopping, NULL, 0);
        return r;
}

static int on_record(const char *id, void *userdata)
{
        struct supervisor *supervisor = userdata;
        struct record record;
        int r = record_read(supervisor->records_fd, id, &record);

        if (r >= 0)
                r = restore(supervisor, &record);
        if (r >= 0 || r == -ENOMEM)
                return r;
        (void) log_warning_errno(r, "session %s: its record is of no use", id);
        (void) record_remove(supervisor->records_fd, id);
        return 0;
}

/* ---- their workers ---------------------------------------------------------------------------- */

void rebuild_name_worker(struct session *s, pid_t pid)
{
        pid_t parent = process_parent(pid);

        s->worker_pid = pid;
        s->worker_parent = parent > 0 ? parent : 0;
        tracked_set_worker(s->tracked, pid, -1);
        free(s->tracking);
        s->tracking = strdup(tracked_describe(s->tracked));
}

/* The session that the process names on its command line: envmux-worker SERVER/ID. */
static struct session *find_session_of(const struct supervisor *supervisor, pid_t pid)
{
        _cleanup_free_ char *words = NULL;
        char path[32];
        size_t size;

        (void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
        if (fd_read_file_at(AT_FDCWD, path, COMMAND_LINE_MAX, &words, &size) < 0 || !streq(words, "envmux-worker") ||
            size <= sizeof("envmux-worker"))
                return NULL;
        const char *name = words + sizeof("envmux-worker"), *id = strrchr(name, '/');

        return id ? session_find_id(supervisor->sessions, id + 1) : NULL;
}

static int on_process(pid_t pid, void *userdata)
{
        struct supervisor *supervisor = userdata;
        struct session *s = find_session_of(supervisor, pid);
        struct stat st;
        char path[32];

        (void) snprintf(path, sizeof(path), "/proc/%d", (int) pid);
        if (s && s->worker_pid == 0 && stat(path, &st) == 0 && st.st_uid == geteuid())
                rebuild_name_worker(s, pid);
        return 0;
}

/* Workers are found before they say HELLO: so that nobody takes them for strays, that one which never says it is
 * killed, and that the session of a dead one is known to be over. */
static int find_workers(struct supervisor *supervisor)
{
        if (session_count(supervisor->sessions) == 0)
                return 0;
        int r = process_for_each(on_process, supervisor);

        for (struct session *s = session_next(supervisor->sessions, NULL); s; s = session_next(supervisor->sessions, s))
                if (s->worker_pid == 0)
                        event_active(s->emptied, EV_TIMEOUT, 0); /* it died with its supervisor */
        return r;
}

/* ---- what has no record ----------------------------------------------------------------------- */

static void stray_free(struct stray *stray)
{
        LIST_REMOVE(stray, entry);
        tracked_free(stray->tracked);
        free(stray);
}

static void on_stray_empty(struct tracked_owner *owner)
{
        struct stray *stray = (struct stray *) owner;
        int r = tracked_remove(stray->tracked);

        if (r < 0)
                (void) log_warning_errno(r, "cannot remove %s", tracked_describe(stray->tracked));
        event_active(stray->rebuild->supervisor->after_end, EV_TIMEOUT, 0);
        stray_free(stray);
}

static int on_cgroup(const char *server, const char *principal, const char *id, void *userdata)
{
        struct rebuild *rebuild = userdata;
        struct supervisor *supervisor = rebuild->supervisor;

        if (session_find_id(supervisor->sessions, id))
                return 0;
        struct stray *stray = calloc(1, sizeof(*stray));

        if (!stray)
                return -ENOMEM;
        stray->owner.on_empty = on_stray_empty;
        stray->rebuild = rebuild;
        LIST_INSERT_HEAD(&rebuild->strays, stray, entry);
        int r = tracked_new(supervisor->tracking, server, principal, id, true, &stray->owner, &stray->tracked);

        if (r >= 0) {
                log_notice("killing what has no record: %s", tracked_describe(stray->tracked));
                supervisor->counters.strays_killed++;
                r = tracked_kill(stray->tracked);
        } else
                stray_free(stray);
        return r == -ENOENT ? 0 : r;
}

static int on_socket(const struct dirent *entry, void *userdata)
{
        struct supervisor *supervisor = userdata;

        if (!streq(entry->d_name, "supervisor") && !session_find_id(supervisor->sessions, entry->d_name))
                (void) unlinkat(supervisor->sockets_fd, entry->d_name, 0);
        return 0;
}

static bool has_session(const char *id, void *userdata)
{
        return session_find_id(((struct supervisor *) userdata)->sessions, id) != NULL;
}

/* ---- the module ------------------------------------------------------------------------------- */

int rebuild_new(struct supervisor *supervisor, struct rebuild **ret)
{
        _cleanup_(rebuild_freep) struct rebuild *rebuild = calloc(1, sizeof(*rebuild));

        if (!rebuild)
                return -ENOMEM;
        rebuild->supervisor = supervisor;
        LIST_INIT(&rebuild->strays);
        int r = record_list(supervisor->records_fd, on_record, supervisor);

        if (r >= 0)
                r = find_workers(supervisor);
        if (r >= 0)
                r = tracking_list(supervisor->tracking, on_cgroup, rebuild);
        if (r < 0)
                return r;
        (void) fd_each_entry_at(supervisor->sockets_fd, ".", on_socket, supervisor);
        r = workspaces_discard_unknown(supervisor->workspaces, has_session, supervisor);
        if (r < 0)
                (void) log_warning_errno(r, "cannot remove old workspaces");
        if (session_count(supervisor->sessions) > 0)
                log_notice("found %u sessions of an earlier supervisor", session_count(supervisor->sessions));
        *ret = TAKE_PTR(rebuild);
        return 0;
}

struct rebuild *rebuild_free(struct rebuild *rebuild)
{
        if (!rebuild)
                return NULL;
        while (!LIST_EMPTY(&rebuild->strays))
                stray_free(LIST_FIRST(&rebuild->strays));
        free(rebuild);
        return NULL;
}

bool rebuild_is_busy(const struct rebuild *rebuild)
{
        return !LIST_EMPTY(&rebuild->strays);
}
