#include "worker/http_revive.h"

#include "worker/http_sse.h"
#include "worker/revive.h"

#define INITIALIZE_BYTES_MAX (32u * 1024)
#define CLIENTS_BYTES_MAX (64u * 1024) /* it must fit into one frame to the supervisor */
#define ENTRY_BYTES 64u                /* of a client, beside what revive_client_bytes_max has */

static void keep(struct client *client, struct json_slice request)
{
        client->initialize = malloc(request.size);
        if (!client->initialize)
                return;
        memcpy(client->initialize, request.data, request.size);
        client->initialize_size = request.size;
}

void http_revive_keep(struct client *client, struct json_slice request)
{
        if (request.size <= INITIALIZE_BYTES_MAX)
                keep(client, request);
}

/* One that initialized itself and whose initialize was not kept would have to do so again. */
static bool comes_back(const struct http_endpoint *endpoint, const struct client *client)
{
        return (client->initialize || !client->version[0]) && !http_sse_is_of(endpoint, client->transport_id);
}

static size_t bytes_max(const struct http_endpoint *endpoint, const struct client *client)
{
        return comes_back(endpoint, client)
                ? revive_client_bytes_max(client) + ENTRY_BYTES + 2 * strlen(client->version) + client->initialize_size
                : 0;
}

/* The newest that fit, oldest first. */
static const struct client *first_to_keep(const struct http_endpoint *endpoint)
{
        const struct clients *clients = endpoint->worker->clients;
        const struct client *first = clients_next(clients, NULL), *client;
        size_t bytes = 0;

        for (client = first; client; client = clients_next(clients, client))
                bytes += bytes_max(endpoint, client);
        for (; first && bytes > CLIENTS_BYTES_MAX; first = clients_next(clients, first))
                bytes -= bytes_max(endpoint, first);
        return first;
}

static void write_client(const struct client *client, struct json_writer *w)
{
        revive_client_write(client, w);
        if (client->initialize) {
                json_writer_text(w, ",\"version\":");
                json_writer_string(w, client->version);
                json_writer_text(w, ",\"initialize\":");
                json_writer_raw(w, client->initialize, client->initialize_size);
        }
        json_writer_text(w, "}");
}

int http_revive_write(const struct http_endpoint *endpoint, char **ret)
{
        const struct worker *worker = endpoint->worker;
        const struct client *client = first_to_keep(endpoint);
        _cleanup_json_writer_ struct json_writer w = { .failed = false };
        unsigned n = 0;

        json_writer_text(&w, "{\"clients\":[");
        for (; client; client = clients_next(worker->clients, client)) {
                if (!comes_back(endpoint, client))
                        continue;
                json_writer_text(&w, n++ > 0 ? "," : "");
                write_client(client, &w);
        }
        json_writer_text(&w, "]}");
        /* A session that nobody else knows of ends with its client. */
        if (n == 0 && worker->spec->kind == KEY_TRANSPORT)
                return -ENOENT;
        return json_writer_finish(&w, ret, NULL);
}

static int read_client(struct http_endpoint *endpoint, struct json_slice entry)
{
        struct json_slice value;
        struct client *client;
        int r = revive_client_read(entry, &client);

        if (r < 0)
                return r;
        client->is_unknown = true;
        if (json_get(entry, "version", &value) >= 0)
                (void) json_string_copy(value, client->version, sizeof(client->version));
        if (json_get(entry, "initialize", &value) >= 0) {
                keep(client, value);
                r = client->initialize ? 0 : -ENOMEM;
        }
        if (r >= 0)
                r = clients_attach(endpoint->worker->clients, client);
        if (r < 0)
                client_free(client);
        return r;
}

int http_revive_read(struct http_endpoint *endpoint)
{
        const char *text = endpoint->worker->spec->revive;
        struct json_slice object, clients, entry;

        if (!text)
                return 0;
        int r = json_validate(text, strlen(text), &object);

        if (r >= 0 && json_get(object, "clients", &clients) >= 0)
                for (size_t cursor = 0; r >= 0 && json_next(clients, &cursor, NULL, &entry) > 0;)
                        r = read_client(endpoint, entry);
        return r;
}
