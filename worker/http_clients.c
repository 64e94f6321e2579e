#include "worker/http_endpoint.h"

#include "common/jsonrpc.h"
#include "worker/exchange.h"
#include "worker/http_revive.h"
#include "worker/http_tell.h"
#include "worker/life.h"
#include "worker/link.h"
#include "worker/relay.h"

struct client *http_endpoint_client(const struct http_endpoint *endpoint, const char *client_id)
{
        struct client *client = NULL;

        while ((client = clients_next(endpoint->worker->clients, client)))
                if (streq(client->transport_id, client_id))
                        return client;
        return NULL;
}

struct client *http_endpoint_speaker(const struct http_endpoint *endpoint, const struct exchange *exchange, bool is_mcp)
{
        const struct clients *clients = endpoint->worker->clients;

        if (exchange->is_minted || (is_mcp && http_exchange_is_modern(exchange)))
                return NULL;
        if (exchange->transport_id[0])
                return http_endpoint_client(endpoint, exchange->transport_id);
        return is_mcp ? clients_sole(clients) : clients_newest(clients);
}

/* The identity that the client's `initialize` brought (common/identity.h); "" when none. */
static void identity_of_message(const struct jsonrpc_message *message, char ret[static IDENTITY_SIZE])
{
        struct json_slice client_info;

        if (json_get(message->params, "clientInfo", &client_info) < 0 || identity_from_client_info(client_info, ret) < 0)
                ret[0] = '\0';
}

static void on_alias_new(enum key_kind kind, const char *key, void *userdata)
{
        link_alias(userdata, kind, key, false);
}

static void on_alias_gone(enum key_kind kind, const char *key, void *userdata)
{
        link_alias(userdata, kind, key, true);
}

static void client_leave(struct http_endpoint *endpoint, struct client *client)
{
        struct worker *worker = endpoint->worker;

        clients_alias_of(worker->clients, client, true, on_alias_gone, worker->link);
        clients_detach(worker->clients, client);
        client_free(client);
        link_status_changed(worker->link);
}

static bool is_busy(const struct http_endpoint *endpoint, const struct client *client)
{
        for (struct relay *relay = TAILQ_FIRST(&endpoint->relays); relay; relay = relay_next(relay))
                if (relay_is_of(relay, client->transport_id))
                        return true;
        return false;
}

/* Room for one more: of the clients without a request under way the one that was quiet for longest makes it. */
static bool make_room(struct http_endpoint *endpoint)
{
        const struct clients *clients = endpoint->worker->clients;
        struct client *idlest = NULL;

        for (struct client *client = clients_next(clients, NULL); client; client = clients_next(clients, client))
                if ((!idlest || client->used < idlest->used) && !is_busy(endpoint, client))
                        idlest = client;
        if (!idlest)
                return false;
        http_tell_ended(endpoint, idlest->backend_id);
        client_leave(endpoint, idlest);
        return true;
}

static int attach(struct http_endpoint *endpoint, const char *client_id, const char *identity, const char *backend_id,
                  struct client **ret)
{
        struct worker *worker = endpoint->worker;
        struct client *client = NULL;
        int r = client_new(client_id, identity, &client);

        if (r >= 0)
                r = STR_COPY(client->backend_id, backend_id);
        if (r >= 0)
                r = clients_attach(worker->clients, client);
        if (r == -ENOSPC && make_room(endpoint))
                r = clients_attach(worker->clients, client);
        if (r < 0) {
                client_free(client);
                return r;
        }
        clients_alias_of(worker->clients, client, false, on_alias_new, worker->link);
        link_status_changed(worker->link);
        *ret = client;
        return 0;
}

int http_endpoint_attach(struct http_endpoint *endpoint, struct exchange *exchange, const char *backend_id,
                         const char *version, struct evbuffer *request, const char **ret_word)
{
        const char *word = clients_count(endpoint->worker->clients) == 0 ? "new" : "joined";
        size_t size = evbuffer_get_length(request);
        struct jsonrpc_message message;
        bool is_whole = size > 0 && jsonrpc_parse((const char *) evbuffer_pullup(request, -1), size, &message) >= 0;
        char identity[IDENTITY_SIZE] = "";
        struct client *client;

        if (is_whole)
                identity_of_message(&message, identity);
        int r = attach(endpoint, exchange->transport_id, identity, backend_id, &client);

        if (r < 0)
                return r;
        (void) STR_COPY(client->version, version);
        if (is_whole && endpoint->worker->spec->revives)
                http_revive_keep(client, message.whole);
        *ret_word = word;
        return 0;
}

int http_endpoint_adopt(struct http_endpoint *endpoint, const char *client_id, const char *backend_id)
{
        struct client *client;

        return attach(endpoint, client_id, "", backend_id, &client);
}

void http_endpoint_leave(struct http_endpoint *endpoint, const char *client_id)
{
        struct client *client = http_endpoint_client(endpoint, client_id);

        if (client)
                client_leave(endpoint, client);
}

void http_endpoint_detach(struct http_endpoint *endpoint, const char *client_id)
{
        struct client *client = clients_find(endpoint->worker->clients, client_id);

        if (client)
                client_leave(endpoint, client);
        if (clients_count(endpoint->worker->clients) == 0 && spec_ends_with_its_clients(endpoint->worker->spec))
                life_end(endpoint->worker->life, GONE_DELETED, REASON_session_ended, "its client ended it");
}
