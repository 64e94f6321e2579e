/* Reading what sessions use, when somebody asks. */
#include "supervisor/control_internal.h"

#define READ_USEC (2 * USEC_PER_MSEC) /* at one call; a session takes about a tenth of a millisecond */

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
        usec_t until = usec_add(now_usec(), READ_USEC);
        bool is_over = false;

        /* The one to go on with may be gone: those that were read are passed over. */
        if (!s || session_state_is_final(s->state))
                s = session_next(table, NULL);
        for (; s && !is_over; s = session_next(table, s)) {
                if (!is_due(s, server, since_usec))
                        continue;
                control_usage_read(s);
                is_over = usec_until(until) == 0;
        }
        if (s)
                (void) str_copy(at, IPC_ID_SIZE, s->record.id);
        return !s;
}
