#include "worker/attach.h"

#include "worker/link.h"
#include "worker/stdio_endpoint.h"

static void on_alias(enum key_kind kind, const char *key, void *userdata)
{
        link_alias(userdata, kind, key, false);
}

static bool is_busy(const struct stdio *stdio, const struct client *client)
{
        return (client->get_stream && stream_is_connected(client->get_stream)) ||
               placement_newest_call(stdio->calls, client, true);
}

/* A client that neither listens nor waits for anything, and was not heard of for the longest time. */
static struct client *find_idlest(const struct stdio *stdio)
{
        const struct clients *clients = stdio->worker->clients;
        struct client *idlest = NULL;

        for (struct client *client = clients_next(clients, NULL); client; client = clients_next(clients, client))
                if ((!idlest || client->used < idlest->used) && !is_busy(stdio, client))
                        idlest = client;
        return idlest;
}

static bool make_room(struct stdio *stdio)
{
        struct failure failure = { .reason = REASON_replaced, .detail = "too many clients on this session" };
        struct client *idlest = find_idlest(stdio);

        if (idlest)
                stdio_client_leave(stdio, idlest, &failure);
        return idlest;
}

int attach_known(struct stdio *stdio, struct client *client)
{
        struct worker *worker = stdio->worker;

        if (clients_attach(worker->clients, client) < 0 &&
            (!make_room(stdio) || clients_attach(worker->clients, client) < 0))
                return -ENOSPC;
        stdio->is_shared |= stdio->handshake.had_client; /* also by one that left: answers to it may still come */
        stdio->handshake.had_client = true;
        backlog_move(&client->backlog, &stdio->unattached);
        clients_alias_of(worker->clients, client, false, on_alias, worker->link);
        link_status_changed(worker->link);
        return 0;
}

const char *attach_initialized(struct stdio *stdio, struct client *client, enum reason *ret_reason)
{
        const struct worker *worker = stdio->worker;
        const char *word = stdio->handshake.had_client ? "joined" : "new";

        if (clients_count(worker->clients) > 0 && worker->spec->attach == ATTACH_REJECT) {
                *ret_reason = REASON_session_attached;
                return NULL;
        }
        if (attach_known(stdio, client) < 0) {
                *ret_reason = REASON_overloaded;
                return NULL;
        }
        return word;
}
