#include "supervisor/router_push.h"

#include "common/json_scan.h"
#include "common/log.h"
#include "supervisor/era.h"
#include "supervisor/prepare.h"
#include "supervisor/supervisor.h"

/* Launch, the end of a session that is draining, and a probe before it. */
#define RESOLVE_MARGIN_USEC (60 * USEC_PER_SEC + ERA_PROBE_USEC_MAX)

usec_t router_resolve_usec(const struct config *config)
{
        usec_t usec = config->queue_usec;

        for (size_t i = 0; i < config->n_servers; i++) {
                if (config->servers[i]->prepare)
                        usec = MAX_OF(usec, (usec_t) PREPARE_USEC);
                usec = MAX_OF(usec, usec_add(config->servers[i]->drain_usec, 2 * config->servers[i]->rung_usec));
        }
        return usec_add(usec, RESOLVE_MARGIN_USEC);
}

static void write_list(struct json_writer *w, char *const *list)
{
        for (; list && *list; list++) {
                if (w->size > 1)
                        json_writer_text(w, ",");
                json_writer_string(w, *list);
        }
}

static void push_config(struct peer *peer, const struct config *config)
{
        struct ipc_router_config body = {
                .body_bytes_max = config->body_bytes_max,
                .resolve_timeout_usec = router_resolve_usec(config),
                .client_idle_usec = config->client_idle_usec,
                .clients_max = config->clients_max,
                .head_bytes_max = config->head_bytes_max,
        };
        _cleanup_json_writer_ struct json_writer w = { .failed = false };
        _cleanup_free_ char *allowed = NULL;
        size_t size = 0;

        (void) STR_COPY(body.session_header, config->session_header);
        json_writer_text(&w, "[");
        write_list(&w, config->origins);
        write_list(&w, config->hosts);
        json_writer_text(&w, "]");
        int r = json_writer_finish(&w, &allowed, &size);

        if (r >= 0)
                r = ipc_send(peer->channel, IPC_ROUTER_CONFIG, 0, &body, sizeof(body), allowed, size);
        if (r < 0)
                (void) log_errno(r, "cannot configure a router");
}

void router_push_server(struct peer *peer, const struct server_config *server)
{
        struct ipc_server body = {
                .is_default = peer->supervisor->config->default_server == server,
                .transport = (uint8_t) server->transport,
                .keys = (uint8_t) server->keys.kinds,
                .era = (uint8_t) era_of(peer->supervisor->eras, server),
                .keyless = (uint8_t) server->keyless,
        };

        (void) STR_COPY(body.name, server->name);
        (void) STR_COPY(body.meta_key, server->keys.meta);
        (void) IPC_SEND(peer->channel, IPC_SERVER, 0, &body);
}

void router_push_fill(const struct session *s, struct ipc_session *ret)
{
        *ret = (struct ipc_session) { .kind = s->record.kind, .generation = s->record.generation };
        (void) STR_COPY(ret->id, s->record.id);
        (void) STR_COPY(ret->server, s->record.server);
        (void) STR_COPY(ret->principal, s->record.principal);
        (void) STR_COPY(ret->key, s->record.key);
}

static void push_key(struct peer *peer, const struct session *s)
{
        struct ipc_session body;

        router_push_fill(s, &body);
        (void) IPC_SEND(peer->channel, IPC_SESSION, 0, &body);
}

void router_push_session(struct peer *peer, const struct session *s)
{
        struct session_alias *alias;

        push_key(peer, s);
        TAILQ_FOREACH(alias, &s->aliases, of_session)
                router_push_alias(peer, s, alias->kind, alias->key, false);
}

void router_push_gone(struct peer *peer, const struct session *s)
{
        struct ipc_session_gone body = { .id = "" };

        (void) STR_COPY(body.id, s->record.id);
        (void) IPC_SEND(peer->channel, IPC_SESSION_GONE, 0, &body);
}

void router_push_alias(struct peer *peer, const struct session *s, enum key_kind kind, const char *key, bool is_removed)
{
        struct ipc_alias body = { .kind = kind, .is_removed = is_removed };

        (void) STR_COPY(body.id, s->record.id);
        (void) STR_COPY(body.key, key);
        (void) IPC_SEND(peer->channel, IPC_ALIAS, 0, &body);
}

/* One pass over the aliases: the claims that stand, or those that another one overrides. The newest
 * claim that a router hears wins, so those that stand come last. */
static void push_aliases(struct peer *peer, const struct session_table *table, bool standing)
{
        for (struct session *s = session_next(table, NULL); s; s = session_next(table, s)) {
                struct session_alias *alias;

                if (!s->is_announced)
                        continue;
                TAILQ_FOREACH(alias, &s->aliases, of_session) {
                        bool stands = session_alias_find(table, s->record.principal, s->record.server, alias->kind,
                                                         alias->key) == alias;

                        if (stands == standing)
                                router_push_alias(peer, s, alias->kind, alias->key, false);
                }
        }
}

void router_push_dump(struct peer *peer)
{
        const struct config *config = peer->supervisor->config;
        const struct session_table *table = peer->supervisor->sessions;
        struct ipc_empty end = { 0 };

        push_config(peer, config);
        for (size_t i = 0; i < config->n_servers; i++)
                router_push_server(peer, config->servers[i]);
        for (struct session *s = session_next(table, NULL); s; s = session_next(table, s))
                if (s->is_announced)
                        push_key(peer, s);
        push_aliases(peer, table, false);
        push_aliases(peer, table, true);
        (void) IPC_SEND(peer->channel, IPC_DUMP_END, 0, &end);
}
