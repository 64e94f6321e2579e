#include "supervisor/control_internal.h"

#define PREFIX_MIN 4
#define CANDIDATES_MAX 8

typedef struct session *(*walk_fn)(const struct session_table *table, const struct session *after);

static bool has_key(const struct session *session, const char *server, size_t server_size, const char *key)
{
        return strlen(session->record.server) == server_size &&
               memcmp(session->record.server, server, server_size) == 0 && streq(session->record.key, key);
}

/* The newest session named SERVER/KEY in one half of the table. */
static struct session *find_by_key(const struct session_table *table, walk_fn next, const char *name)
{
        const char *slash = strchr(name, '/');
        struct session *found = NULL;

        for (struct session *s = next(table, NULL); slash && s; s = next(table, s))
                if (has_key(s, name, (size_t) (slash - name), slash + 1))
                        found = s;
        return found;
}

/* How many sessions of one half begin with prefix; some of them are kept. */
static size_t find_by_prefix(const struct session_table *table, walk_fn next, const char *prefix,
                             struct session *ret[static CANDIDATES_MAX])
{
        size_t n = 0, size = strlen(prefix);

        for (struct session *s = next(table, NULL); size >= PREFIX_MIN && s; s = next(table, s)) {
                if (strncmp(s->record.id, prefix, size) != 0)
                        continue;
                if (n < CANDIDATES_MAX)
                        ret[n] = s;
                n++;
        }
        return n;
}

static void answer_ambiguous(struct varlink_call *call, const char *name, struct session *const *candidates, size_t n)
{
        struct json_writer parameters = { .data = NULL };

        json_writer_text(&parameters, "{");
        control_write_string(&parameters, "id", name);
        control_write_name(&parameters, "candidates");
        for (size_t i = 0; i < MIN_OF(n, (size_t) CANDIDATES_MAX); i++) {
                json_writer_text(&parameters, i ? "," : "[");
                json_writer_string(&parameters, candidates[i]->record.id);
        }
        json_writer_text(&parameters, "]}");
        varlink_error(call, CONTROL_INTERFACE ".AmbiguousSession", &parameters);
}

struct session *control_find_session(struct control *control, struct varlink_call *call)
{
        const struct session_table *table = control->supervisor->sessions;
        const char *name = varlink_call_string(call, "id");
        struct session *candidates[CANDIDATES_MAX], *session;

        static const walk_fn halves[] = { session_next, session_next_ended };

        session = session_find_id(table, name);
        if (!session)
                session = session_find_ended_id(table, name);
        for (size_t i = 0; !session && i < ELEMENTSOF(halves); i++) {
                size_t n;

                session = find_by_key(table, halves[i], name);
                if (session)
                        break;
                n = find_by_prefix(table, halves[i], name, candidates);
                if (n > 1) {
                        answer_ambiguous(call, name, candidates, n);
                        return NULL;
                }
                if (n == 1)
                        session = candidates[0];
        }
        if (!session)
                control_error(call, "NoSuchSession", "id", name);
        return session;
}
