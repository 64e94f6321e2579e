#include "supervisor/session.h"

#include "supervisor/lifecycle.h"
#include "supervisor/supervisor.h"

#include <stdio.h>
#include <sys/random.h>
#include <sys/wait.h>

#define STDERR_LINES_MAX 32 /* of a failure */

static void on_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        session_dispatch(userdata, EVENT_DEADLINE);
}

static void on_emptied(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        lifecycle_check_empty(userdata);
}

static void on_owner_empty(struct tracked_owner *owner)
{
        lifecycle_check_empty((struct session *) ((char *) owner - offsetof(struct session, owner)));
}

struct session *session_new(struct supervisor *supervisor, struct record *record_consume)
{
        struct session *s = calloc(1, sizeof(*s));

        if (!s) {
                record_done(record_consume);
                return NULL;
        }
        s->supervisor = supervisor;
        s->record = *record_consume;
        *record_consume = (struct record) { 0 };
        s->state = SESSION_QUEUED;
        s->owner.on_empty = on_owner_empty;
        s->end_reason = REASON__MAX;
        s->since_usec = s->created_usec = now_usec();
        s->since_realtime_usec = now_realtime_usec();
        TAILQ_INIT(&s->aliases);
        TAILQ_INIT(&s->waiters);
        s->deadline = event_new(supervisor->base, -1, 0, on_deadline, s);
        s->emptied = event_new(supervisor->base, -1, 0, on_emptied, s);
        if (!s->deadline || !s->emptied)
                return session_free(s);
        return s;
}

struct session *session_free(struct session *s)
{
        if (!s)
                return NULL;
        for (struct session_alias *alias; (alias = TAILQ_FIRST(&s->aliases));) {
                TAILQ_REMOVE(&s->aliases, alias, of_session);
                free(alias);
        }
        struct event *const events[] = { s->deadline, s->emptied, s->lifetime };

        for (size_t i = 0; i < ELEMENTSOF(events); i++)
                if (events[i])
                        event_free(events[i]);
        children_remove(&s->worker_child);
        tracked_free(s->tracked);
        workspace_paths_done(&s->paths);
        record_done(&s->record);
        free(s->command);
        free(s->tracking);
        free(s->end_failure);
        free(s->last_lines);
        free(s);
        return NULL;
}

uid_t session_uid(const struct session *s)
{
        return s->record.has_uid ? s->record.uid : geteuid();
}

usec_t session_idle_usec(const struct session *s)
{
        if (s->status_usec == 0 || s->status.in_flight > 0)
                return 0;
        usec_t now = session_state_is_final(s->state) ? s->since_usec : now_usec();

        return usec_add(s->status.idle_usec, now - s->status_usec);
}

bool session_is_reachable(const struct session *s)
{
        return session_state_is_open(s->state) && s->worker_pid > 0;
}

void session_set_end(struct session *s, bool is_failed, enum reason reason, const char *failure_json, size_t size)
{
        if (s->end_reason != REASON__MAX)
                return;
        s->end_reason = reason;
        s->is_failed = is_failed;
        if (failure_json && size > 0)
                s->end_failure = strndup(failure_json, size);
}

void session_forget_end(struct session *s)
{
        s->end_reason = REASON__MAX;
        s->is_failed = false;
        free(TAKE_PTR(s->end_failure));
}

char *session_end_detail(const struct session *s)
{
        _cleanup_(failure_owned_freep) struct failure_owned *failure = NULL;

        if (!s->end_failure || failure_from_json(s->end_failure, strlen(s->end_failure), &failure) < 0)
                return NULL;
        const char *detail = failure_get(failure)->detail;
        char *whole = NULL;

        /* The one reason whose text says nothing without what follows: clients read both as one sentence. */
        if (detail && failure_get(failure)->reason == REASON_out_of_memory)
                return asprintf(&whole, "%s: %s", reason_text(REASON_out_of_memory), detail) < 0 ? NULL : whole;
        return detail ? strdup(detail) : NULL;
}

/* Cuts text, which is changed, into its last lines; ret is NULL-terminated. */
static void lines_split(char *text, const char *ret[static STDERR_LINES_MAX + 1])
{
        size_t n = 0, total = 0;

        for (const char *p = text; *p; p++)
                total += *p == '\n';
        for (char *line; (line = strsep(&text, "\n"));) {
                if (total > STDERR_LINES_MAX) {
                        total--;
                        continue;
                }
                if (*line && n < STDERR_LINES_MAX)
                        ret[n++] = line;
        }
        ret[n] = NULL;
}

int session_failure_json(const struct session *s, char **ret, size_t *ret_size)
{
        if (s->end_failure) {
                char *copy = strdup(s->end_failure);

                if (!copy)
                        return -ENOMEM;
                *ret_size = strlen(copy);
                *ret = copy;
                return 0;
        }
        _cleanup_free_ char *text = strdup(s->last_lines ? s->last_lines : "");
        const char *lines[STDERR_LINES_MAX + 1];

        if (!text)
                return -ENOMEM;
        lines_split(text, lines);
        struct failure f = {
                .reason = s->end_reason == REASON__MAX ? REASON_session_ended : s->end_reason,
                .stderr_lines = lines[0] ? lines : NULL,
                .has_exit = s->last_exit.is_known,
        };

        if (f.has_exit && s->last_exit.code == CLD_EXITED)
                f.exit_code = s->last_exit.status;
        else if (f.has_exit)
                f.exit_signal = s->last_exit.status;
        if (f.reason == REASON_capacity)
                f.retry_after_sec = 2;
        return failure_to_json(&f, ret, ret_size);
}

static int random_hex(char *dst, size_t bytes)
{
        uint8_t random[16];

        assert(bytes <= sizeof(random));
        if (getrandom(random, bytes, 0) != (ssize_t) bytes)
                return -EIO;
        for (size_t i = 0; i < bytes; i++)
                (void) snprintf(dst + 2 * i, 3, "%02x", random[i]);
        return 0;
}

int session_make_id(char ret[static IPC_ID_SIZE])
{
        memset(ret, 0, IPC_ID_SIZE);
        return random_hex(ret, 8);
}

int session_make_token(char ret[static IPC_TOKEN_SIZE])
{
        memset(ret, 0, IPC_TOKEN_SIZE);
        return random_hex(ret, 16);
}

bool session_token_equal(const char *a, const char *b)
{
        size_t a_size = strlen(a), b_size = strlen(b);
        unsigned differs = a_size != b_size || a_size == 0;

        for (size_t i = 0; i < MIN_OF(a_size, b_size); i++)
                differs |= (unsigned char) a[i] ^ (unsigned char) b[i];
        return differs == 0;
}
