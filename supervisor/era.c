#include "supervisor/era.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/lifecycle.h"
#include "supervisor/routers.h"
#include "supervisor/supervisor.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define PRESUMED_USEC (10 * USEC_PER_SEC)
#define FILE_SUFFIX ".era"
#define FILE_BYTES_MAX 16

/* What is known about one definition of a server (server_config.definition_hash). */
struct definition {
        LIST_ENTRY(definition) entry;
        enum backend_era era;
        usec_t presumed_until;  /* ERA_LEGACY is presumed; 0: it is not */
        bool has_answered;      /* a session of it got as far as answering a request */
        char hash[];
};

struct eras {
        struct supervisor *supervisor;
        struct session_observer observer;
        LIST_HEAD(, definition) definitions;
};

static const char *const words[] = { [ERA_LEGACY] = "legacy", [ERA_MODERN] = "modern" };

const char *era_to_string(enum backend_era era)
{
        return (unsigned) era < ELEMENTSOF(words) ? words[era] : NULL;
}

/* ---- what is remembered ----------------------------------------------------------------------- */

/* RUNTIME/definitions/NAME SUFFIX; the caller's. NULL: no memory. */
static char *path_make(const struct eras *eras, const char *name, const char *suffix)
{
        char *path;

        return asprintf(&path, "%s/definitions/%s%s", eras->supervisor->options.runtime, name, suffix) < 0 ? NULL : path;
}

static enum backend_era file_read(const struct eras *eras, const char *hash)
{
        _cleanup_free_ char *path = path_make(eras, hash, FILE_SUFFIX), *text = NULL;

        if (!path || fd_read_file_at(AT_FDCWD, path, FILE_BYTES_MAX, &text, NULL) < 0)
                return ERA_UNKNOWN;
        for (unsigned era = ERA_LEGACY; era < ELEMENTSOF(words); era++)
                if (streq(text, words[era]))
                        return (enum backend_era) era;
        return ERA_UNKNOWN;
}

static void file_write(const struct eras *eras, const struct definition *d)
{
        _cleanup_free_ char *path = path_make(eras, d->hash, FILE_SUFFIX);
        const char *word = words[d->era];
        int r = path ? fd_write_file_atomic_at(AT_FDCWD, path, word, strlen(word), 0600) : -ENOMEM;

        if (r < 0)
                (void) log_warning_errno(r, "cannot remember the era of a definition");
}

static int on_file(const struct dirent *entry, void *userdata)
{
        const char *suffix = strrchr(entry->d_name, '.');
        _cleanup_free_ char *path = NULL;

        if (!suffix || !streq(suffix, FILE_SUFFIX))
                return 0;
        path = path_make(userdata, entry->d_name, "");
        if (path)
                (void) unlink(path);
        return 0;
}

static struct definition *definition_get(struct eras *eras, const char *hash)
{
        struct definition *d;
        size_t size = strlen(hash) + 1;

        LIST_FOREACH(d, &eras->definitions, entry)
                if (streq(d->hash, hash))
                        return d;
        d = calloc(1, sizeof(*d) + size);
        if (!d)
                return NULL;
        memcpy(d->hash, hash, size);
        d->era = file_read(eras, hash);
        LIST_INSERT_HEAD(&eras->definitions, d, entry);
        return d;
}

static void definitions_free(struct eras *eras)
{
        for (struct definition *d; (d = LIST_FIRST(&eras->definitions));) {
                LIST_REMOVE(d, entry);
                free(d);
        }
}

void eras_forget(struct eras *eras)
{
        _cleanup_free_ char *folder = path_make(eras, "", "");

        definitions_free(eras);
        if (folder)
                (void) fd_each_entry_at(AT_FDCWD, folder, on_file, eras);
}

/* ---- questions -------------------------------------------------------------------------------- */

static struct definition *definition_of(struct eras *eras, const struct server_config *server)
{
        return server->transport == TRANSPORT_STDIO ? definition_get(eras, server->definition_hash) : NULL;
}

enum backend_era era_of(struct eras *eras, const struct server_config *server)
{
        const struct definition *d = server->era == ERA_UNKNOWN ? definition_of(eras, server) : NULL;

        return d ? d->era : server->era;
}

enum backend_era era_of_session(struct eras *eras, const struct session *s)
{
        const struct server_config *server = config_find(eras->supervisor->config, s->record.server);
        const char *hash = s->record.definition_hash;
        const struct definition *d;

        if (!hash)
                return ERA_UNKNOWN;
        if (server && streq(server->definition_hash, hash))
                return era_of(eras, server);
        d = definition_get(eras, hash);
        return d ? d->era : ERA_UNKNOWN;
}

enum backend_era era_presumed(struct eras *eras, const struct server_config *server)
{
        enum backend_era era = era_of(eras, server);
        const struct definition *d = era == ERA_UNKNOWN ? definition_of(eras, server) : NULL;

        return d && usec_until(d->presumed_until) > 0 ? ERA_LEGACY : era;
}

int era_probe(struct eras *eras, const struct server_config *server, struct session **ret)
{
        struct supervisor *supervisor = eras->supervisor;
        const struct session_request request = {
                .principal = "",
                .key = ERA_PROBE_KEY,
                .kind = KEY_PROBE,
                .awaits_request = true,
        };
        struct session *s = session_find_key(supervisor->sessions, "", server->name, KEY_PROBE, ERA_PROBE_KEY);

        if (s) {
                *ret = s;
                return 0;
        }
        return lifecycle_create(supervisor, server, &request, ret);
}

/* ---- answers ---------------------------------------------------------------------------------- */

static void learn(struct eras *eras, struct definition *d, const char *server, enum backend_era era)
{
        d->era = era;
        d->presumed_until = 0;
        file_write(eras, d);
        log_info("server %s: its backends speak %s", server,
                 era == ERA_MODERN ? "MCP 2026-07-28" : "the older revisions of MCP alone");
        routers_push_era(eras->supervisor->routers, d->hash);
}

int eras_on_era(struct peer *peer, const struct ipc_message *m)
{
        const struct ipc_era *told = m->body;
        struct session *s = peer->session;
        struct eras *eras = s->supervisor->eras;

        if (s->record.kind != KEY_PROBE || (told->era != ERA_LEGACY && told->era != ERA_MODERN))
                return -EBADMSG;
        struct definition *d = s->record.definition_hash ? definition_get(eras, s->record.definition_hash) : NULL;

        if (!d)
                return 0; /* nobody learns anything: who waits is told when the probe has ended */
        if (!told->is_presumed || d->has_answered) {
                learn(eras, d, s->record.server, (enum backend_era) told->era);
        } else {
                d->presumed_until = now_usec() + PRESUMED_USEC;
                log_notice("server %s: its backend did not answer server/discover; taken for one of the older "
                           "revisions of MCP", s->record.server);
        }
        session_notify(s, s->state); /* for those who wait */
        return 0;
}

/* The tombstone keeps them too, until newer ones take its place. */
static void log_output(const struct session *s)
{
        _cleanup_free_ char *text = s->last_lines ? strdup(s->last_lines) : NULL;
        char *rest = text;

        for (char *line; (line = strsep(&rest, "\n"));)
                if (*line)
                        log_info("server %s: probe: %s", s->record.server, line);
}

static void on_change(struct session *s, enum session_state old, void *userdata)
{
        struct eras *eras = userdata;

        if (s->record.kind == KEY_PROBE) {
                if (session_state_is_final(s->state) && !session_state_is_final(old))
                        log_output(s);
                return;
        }
        if (s->state != SESSION_READY || old != SESSION_STARTING || !s->awaits_request || !s->record.definition_hash)
                return;
        struct definition *d = definition_get(eras, s->record.definition_hash);

        if (d) {
                d->has_answered = true;
                d->presumed_until = 0; /* it works: the next probe is worth believing */
        }
}

/* ---- the module ------------------------------------------------------------------------------- */

int eras_new(struct supervisor *supervisor, struct eras **ret)
{
        struct eras *eras = calloc(1, sizeof(*eras));

        if (!eras)
                return -ENOMEM;
        eras->supervisor = supervisor;
        LIST_INIT(&eras->definitions);
        eras->observer.on_change = on_change;
        eras->observer.userdata = eras;
        supervisor_observe(supervisor, &eras->observer);
        *ret = eras;
        return 0;
}

struct eras *eras_free(struct eras *eras)
{
        if (!eras)
                return NULL;
        supervisor_unobserve(eras->supervisor, &eras->observer);
        definitions_free(eras);
        free(eras);
        return NULL;
}
