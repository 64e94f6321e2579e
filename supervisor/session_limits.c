#include "supervisor/session_limits.h"

#include "common/log.h"
#include "supervisor/log_event.h"
#include "supervisor/supervisor.h"

#include <stdio.h>

/* The levels as the configuration names them. */
static const struct level {
        const char *prefix, *member;
        size_t offset;
} levels[] = {
        { "", "limits", offsetof(struct server_config, session_limits) },
        { "per_principal.", "principal_limits", offsetof(struct server_config, principal_limits) },
        { "per_server.", "server_limits", offsetof(struct server_config, server_limits) },
};

static const struct limits *limits_of(const struct level *level, const struct server_config *server)
{
        return (const struct limits *) (const void *) ((const char *) server + level->offset);
}

static int remember(struct session *s, const struct server_config *server)
{
        struct json_writer w = { .failed = false };
        size_t size;

        free(TAKE_PTR(s->record.limits));
        if (!limits_set(&server->session_limits))
                return 0;
        limits_write(&server->session_limits, &w);
        return json_writer_finish(&w, &s->record.limits, &size);
}

int session_limits_apply(struct session *s, const struct server_config *server)
{
        struct tracking *tracking = s->supervisor->tracking;
        const struct record *record = &s->record;
        int r = remember(s, server);

        if (r >= 0)
                r = tracking_limit_group(tracking, record->server, NULL, &server->server_limits, false);
        if (r >= 0)
                r = tracking_limit_group(tracking, record->server, record->principal, &server->principal_limits, false);
        if (r >= 0)
                r = tracked_limit(s->tracked, &server->session_limits);
        return r;
}

/* ---- what cannot be enforced ---------------------------------------------------------------------- */

/* Those of a level that are set and have no effect: bits. */
static unsigned unenforced(const struct tracking *tracking, unsigned set)
{
        for (unsigned kind = 0; kind < LIMIT__MAX; kind++)
                if (set & 1u << kind && tracking_enforces(tracking, (enum limit_kind) kind))
                        set &= ~(1u << kind);
        return set;
}

static void tell_unenforced(const struct supervisor *supervisor)
{
        unsigned without = 0;
        char names[128] = "";
        size_t used = 0;

        for (size_t i = 0; i < supervisor->config->n_servers; i++)
                for (size_t k = 0; k < ELEMENTSOF(levels); k++)
                        without |= unenforced(supervisor->tracking,
                                              limits_set(limits_of(&levels[k], supervisor->config->servers[i])));
        for (unsigned kind = 0; kind < LIMIT__MAX && used < sizeof(names); kind++)
                if (without & 1u << kind)
                        used += (size_t) snprintf(names + used, sizeof(names) - used, "%s%s", used > 0 ? ", " : "",
                                                  limit_to_string((enum limit_kind) kind));
        if (without)
                log_event(LOG_EVENT_LIMIT_UNENFORCED, "%s cannot be enforced here: %s", names,
                          tracking_has_cgroups(supervisor->tracking)
                                  ? "our cgroup is not given the controllers for that"
                                  : "sessions are not tracked by cgroup");
}

/* ---- reload --------------------------------------------------------------------------------------- */

static int on_group(const char *server_name, const char *principal, void *userdata)
{
        struct supervisor *supervisor = userdata;
        const struct server_config *server = config_find(supervisor->config, server_name);
        int r = 0;

        /* Not one of ours, or it goes anyway. */
        if (server)
                r = tracking_limit_group(supervisor->tracking, server_name, principal,
                                         principal ? &server->principal_limits : &server->server_limits, true);
        return r == -ENOMEM ? r : 0;
}

void session_limits_reconfigure(struct supervisor *supervisor)
{
        tell_unenforced(supervisor);
        int r = tracking_each_group(supervisor->tracking, on_group, supervisor);

        if (r < 0)
                (void) log_errno(r, "cannot change the limits of the sessions that there are");
}

/* ---- for people ------------------------------------------------------------------------------------- */

static unsigned set_of_record(const struct record *record)
{
        unsigned set = 0;

        for (unsigned kind = 0; record->limits && kind < LIMIT__MAX; kind++)
                if (strstr(record->limits, limit_to_string((enum limit_kind) kind)))
                        set |= 1u << kind;
        return set;
}

static void write_unenforced(const struct session *s, const struct server_config *server, struct json_writer *w)
{
        const char *comma = ",\"unenforced\":[";
        bool is_any = false;

        for (size_t i = 0; i < ELEMENTSOF(levels); i++) {
                unsigned set = i == 0 ? set_of_record(&s->record) : server ? limits_set(limits_of(&levels[i], server)) : 0;
                unsigned without = unenforced(s->supervisor->tracking, set);

                for (unsigned kind = 0; kind < LIMIT__MAX; kind++) {
                        if (!(without & 1u << kind))
                                continue;
                        json_writer_format(w, "%s\"%s%s\"", comma, levels[i].prefix,
                                           limit_to_string((enum limit_kind) kind));
                        comma = ",";
                        is_any = true;
                }
        }
        if (is_any)
                json_writer_text(w, "]");
}

void session_limits_write(const struct session *s, struct json_writer *w)
{
        const struct server_config *server = config_find(s->supervisor->config, s->record.server);

        if (s->record.limits)
                json_writer_format(w, ",\"limits\":%s", s->record.limits);
        if (session_state_is_final(s->state))
                return;
        for (size_t i = 1; server && i < ELEMENTSOF(levels); i++) {
                const struct limits *limits = limits_of(&levels[i], server);

                if (!limits_set(limits))
                        continue;
                json_writer_format(w, ",\"%s\":", levels[i].member);
                limits_write(limits, w);
        }
        write_unenforced(s, server, w);
}
