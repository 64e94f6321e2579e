#include "supervisor/rebuild.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/process_tree.h"
#include "supervisor/admission.h"
#include "supervisor/config_command.h"
#include "supervisor/dormant.h"
#include "supervisor/environment.h"
#include "supervisor/launch.h"
#include "supervisor/lifecycle.h"
#include "supervisor/log_event.h"
#include "supervisor/resolve.h"
#include "supervisor/supervisor.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define COMMAND_LINE_MAX 4096
#define AGAIN_USEC (100 * USEC_PER_MSEC)
#define PATIENCE_USEC (30 * USEC_PER_SEC) /* for what cannot be read just now */
#define RUNG_USEC (2 * USEC_PER_SEC) /* for sessions whose server is not configured any more */

/* A cgroup that no record explains. */
struct stray {
        struct tracked_owner owner; /* first */
        LIST_ENTRY(stray) entry;
        struct rebuild *rebuild;
        struct tracked *tracked;
        char id[IPC_ID_SIZE];
};

struct rebuild {
        struct supervisor *supervisor;
        LIST_HEAD(, stray) strays;
        struct event *again;
        usec_t until;
        bool is_last;    /* the last pass: what fails now is of no use */
        bool is_unsure;  /* in this pass something could not be read that may be readable in the next */
        bool is_settled;
};

/* Says nothing about what was to be read, only about now. */
static bool is_transient(int error)
{
        return error == -EMFILE || error == -ENFILE || error == -EIO || error == -ENOMEM || error == -ENOBUFS ||
               error == -EAGAIN || error == -EINTR;
}

/* True when error is for another pass to overcome. */
static bool is_for_later(struct rebuild *rebuild, int error)
{
        if (rebuild->is_last || !is_transient(error))
                return false;
        rebuild->is_unsure = true;
        return true;
}

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
        dormant_recall(added);
        lifecycle_arm_lifetime(added);
        if (admission_adopt(supervisor->admission, added) < 0)
                log_warning("session %s: out of memory, it is not counted against any limit", added->record.id);
        session_set_state(added, SESSION_ADOPTING);
        if (!server)
                lifecycle_stop(added, REASON_stopping, NULL, 0);
        return 0;
}

/* A dormant session and its next generation, where a supervisor was killed before it had removed the record of the
 * one: the newer is what counts. */
static int make_way(struct supervisor *supervisor, const struct record *record)
{
        struct session *other = session_find_key(supervisor->sessions, record->principal, record->server,
                                                 (enum key_kind) record->kind, record->key);

        if (!other)
                return 0;
        if (other->state != SESSION_DORMANT || other->record.generation >= record->generation)
                return -EEXIST;
        lifecycle_stop(other, REASON_session_ended, NULL, 0);
        return 0;
}

static int on_record(const char *id, void *userdata)
{
        struct rebuild *rebuild = userdata;
        struct supervisor *supervisor = rebuild->supervisor;
        struct record record;

        if (session_find_id(supervisor->sessions, id))
                return 0; /* of an earlier pass */
        int r = record_read(supervisor->records_fd, id, &record);

        if (r >= 0) {
                r = make_way(supervisor, &record);
                if (r < 0)
                        record_done(&record);
        }
        if (r >= 0)
                r = record.dormant_usec > 0 ? dormant_restore(supervisor, &record) : restore(supervisor, &record);
        if (r >= 0 || is_for_later(rebuild, r))
                return 0;
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
static struct session *find_session_of(struct rebuild *rebuild, pid_t pid)
{
        _cleanup_free_ char *words = NULL;
        char path[32];
        size_t size;

        (void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
        int r = fd_read_file_at(AT_FDCWD, path, COMMAND_LINE_MAX, &words, &size);

        if (r < 0)
                (void) is_for_later(rebuild, r);
        if (r < 0 || !streq(words, "envmux-worker") || size <= sizeof("envmux-worker"))
                return NULL;
        const char *name = words + sizeof("envmux-worker"), *id = strrchr(name, '/');

        return id ? session_find_id(rebuild->supervisor->sessions, id + 1) : NULL;
}

static int on_process(pid_t pid, void *userdata)
{
        struct session *s = find_session_of(userdata, pid);
        uid_t uid;

        if (s && s->worker_pid == 0 && process_uid(pid, &uid) >= 0 && uid == session_uid(s))
                rebuild_name_worker(s, pid);
        return 0;
}

/* Workers are found before they say HELLO: so that nobody takes them for strays, that one which never says it is
 * killed, and that the session of a dead one is known to be over. */
static int find_workers(struct rebuild *rebuild)
{
        const struct session_table *table = rebuild->supervisor->sessions;

        if (session_count(table) == 0)
                return 0;
        int r = process_for_each(on_process, rebuild);

        if (r < 0 || rebuild->is_unsure)
                return r;
        for (struct session *s = session_next(table, NULL); s; s = session_next(table, s))
                if (s->worker_pid == 0 && s->state == SESSION_ADOPTING)
                        event_active(s->emptied, EV_TIMEOUT, 0); /* it died with its supervisor */
        return 0;
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

static bool is_stray(const struct rebuild *rebuild, const char *id)
{
        const struct stray *stray;

        LIST_FOREACH(stray, &rebuild->strays, entry)
                if (streq(stray->id, id))
                        return true;
        return false;
}

static int on_cgroup(const char *server, const char *principal, const char *id, void *userdata)
{
        struct rebuild *rebuild = userdata;
        struct supervisor *supervisor = rebuild->supervisor;

        if (session_find_id(supervisor->sessions, id) || is_stray(rebuild, id))
                return 0;
        struct stray *stray = calloc(1, sizeof(*stray));

        if (!stray)
                return -ENOMEM;
        stray->owner.on_empty = on_stray_empty;
        stray->rebuild = rebuild;
        (void) STR_COPY(stray->id, id);
        LIST_INSERT_HEAD(&rebuild->strays, stray, entry);
        int r = tracked_new(supervisor->tracking, server, principal, id, true, &stray->owner, &stray->tracked);

        if (r >= 0) {
                log_event(LOG_EVENT_STRAY_KILLED, "killing what has no record: %s", tracked_describe(stray->tracked));
                r = tracked_kill(stray->tracked);
        }
        if (r < 0)
                stray_free(stray);
        else
                supervisor->counters.strays_killed++;
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

static void remove_unknown(struct rebuild *rebuild)
{
        struct supervisor *supervisor = rebuild->supervisor;

        (void) fd_each_entry_at(supervisor->sockets_fd, ".", on_socket, supervisor);
        int r = workspaces_discard_unknown(supervisor->workspaces, has_session, supervisor);

        if (r < 0)
                (void) log_warning_errno(r, "cannot remove old workspaces");
}

/* ---- passes ----------------------------------------------------------------------------------- */

/* Everything in its order, each step once those before it are sure. What passes before have done is passed over. */
static int pass(struct rebuild *rebuild)
{
        struct supervisor *supervisor = rebuild->supervisor;

        rebuild->is_unsure = false;
        int r = record_list(supervisor->records_fd, on_record, rebuild);

        if (r >= 0)
                r = find_workers(rebuild);
        if (r >= 0 && !rebuild->is_unsure)
                r = tracking_list(supervisor->tracking, on_cgroup, rebuild);
        if (r < 0 && !is_for_later(rebuild, r))
                return r;
        if (rebuild->is_unsure)
                return 0;
        remove_unknown(rebuild);
        rebuild->is_settled = true;
        return 0;
}

static void again_later(struct rebuild *rebuild)
{
        struct timeval timeout = usec_to_timeval(AGAIN_USEC);

        event_add(rebuild->again, &timeout);
}

/* Workers cannot say HELLO either while there are no descriptors. */
static void adopting_extend(const struct session_table *table)
{
        for (struct session *s = session_next(table, NULL); s; s = session_next(table, s))
                if (s->state == SESSION_ADOPTING)
                        session_extend(s);
}

static void on_again(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct rebuild *rebuild = userdata;
        struct supervisor *supervisor = rebuild->supervisor;

        rebuild->is_last = rebuild->is_last || usec_until(rebuild->until) == 0;
        int r = pass(rebuild);

        if (r < 0)
                (void) log_errno(r, "cannot read all that an earlier supervisor left");
        rebuild->is_settled = rebuild->is_settled || r < 0;
        adopting_extend(supervisor->sessions);
        if (!rebuild->is_settled) {
                again_later(rebuild);
                return;
        }
        log_notice("%u sessions are known after all", session_count(supervisor->sessions));
        resolver_reconsider(supervisor->resolver);
        event_active(supervisor->after_end, EV_TIMEOUT, 0);
}

bool rebuild_is_settled(const struct rebuild *rebuild)
{
        return rebuild && rebuild->is_settled;
}

void rebuild_give_up(struct rebuild *rebuild)
{
        rebuild->is_last = true;
        if (!rebuild->is_settled)
                event_active(rebuild->again, EV_TIMEOUT, 0);
}

/* ---- the module ------------------------------------------------------------------------------- */

int rebuild_new(struct supervisor *supervisor, struct rebuild **ret)
{
        _cleanup_(rebuild_freep) struct rebuild *rebuild = calloc(1, sizeof(*rebuild));

        if (!rebuild)
                return -ENOMEM;
        rebuild->supervisor = supervisor;
        rebuild->until = usec_add(now_usec(), PATIENCE_USEC);
        LIST_INIT(&rebuild->strays);
        rebuild->again = event_new(supervisor->base, -1, 0, on_again, rebuild);
        if (!rebuild->again)
                return -ENOMEM;
        int r = pass(rebuild);

        if (r < 0)
                return r;
        if (session_count(supervisor->sessions) > 0)
                log_event(LOG_EVENT_ADOPTED, "found %u sessions of an earlier supervisor", session_count(supervisor->sessions));
        if (!rebuild->is_settled) {
                log_warning("not all that an earlier supervisor left can be read now, trying again");
                again_later(rebuild);
        }
        *ret = TAKE_PTR(rebuild);
        return 0;
}

struct rebuild *rebuild_free(struct rebuild *rebuild)
{
        if (!rebuild)
                return NULL;
        while (!LIST_EMPTY(&rebuild->strays))
                stray_free(LIST_FIRST(&rebuild->strays));
        if (rebuild->again)
                event_free(rebuild->again);
        free(rebuild);
        return NULL;
}

bool rebuild_is_busy(const struct rebuild *rebuild)
{
        return !rebuild->is_settled || !LIST_EMPTY(&rebuild->strays);
}
