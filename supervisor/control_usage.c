/* Reading what sessions use, when somebody asks. */
#include "supervisor/control_internal.h"

#define READ_MAX 32 /* sessions at one call: one to two milliseconds */

void control_usage_read(struct session *session)
{
        if (!session->tracked)
                return; /* what was read at its end stays */
        if (tracked_read_usage(session->tracked, &session->usage) < 0)
                session->usage = (struct usage) { .is_read = false };
        session->usage_usec = now_usec();
}

static bool is_due(const struct session *s, const char *server, usec_t since_usec)
{
        return s->tracked && s->usage_usec < since_usec && (!server || streq(server, s->record.server));
}

bool control_usage_read_some(const struct control *control, const char *server, usec_t since_usec,
                             char at[static IPC_ID_SIZE])
{
        const struct session_table *table = control->supervisor->sessions;
        struct session *s = session_find_id(table, at);
        unsigned n = 0;

        /* The one to go on with may be gone: those that were read are passed over. */
        if (!s || session_state_is_final(s->state))
                s = session_next(table, NULL);
        for (; s && n < READ_MAX; s = session_next(table, s)) {
                if (!is_due(s, server, since_usec))
                        continue;
                control_usage_read(s);
                n++;
        }
        if (s)
                (void) str_copy(at, IPC_ID_SIZE, s->record.id);
        return !s;
}
