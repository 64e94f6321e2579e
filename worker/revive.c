#include "worker/revive.h"

#include "worker/stdio_endpoint.h"

#define CLIENTS_BYTES_MAX (32u * 1024) /* with the initialize it must fit into one frame to the supervisor */
#define ENTRY_BYTES 48u                /* of a client, beside its two strings */

/* A client of the HTTP+SSE transport ends with its stream: nothing brings it back. */
static bool comes_back(const struct client *client)
{
        return !client->get_stream || client->get_stream->kind != STREAM_SSE;
}

size_t revive_client_bytes_max(const struct client *client)
{
        return ENTRY_BYTES + 2 * strlen(client->transport_id) + strlen(client->identity);
}

/* The newest that fit, oldest first; it takes hundreds of clients with strange ids not to. */
static const struct client *first_to_keep(const struct clients *clients)
{
        const struct client *first = clients_next(clients, NULL), *client;
        size_t bytes = 0;

        for (client = first; client; client = clients_next(clients, client))
                bytes += revive_client_bytes_max(client);
        for (; first && bytes > CLIENTS_BYTES_MAX; first = clients_next(clients, first))
                bytes -= revive_client_bytes_max(first);
        return first;
}

void revive_client_write(const struct client *client, struct json_writer *w)
{
        json_writer_text(w, "{\"id\":");
        json_writer_string(w, client->transport_id);
        if (client->identity[0])
                json_writer_format(w, ",\"identity\":\"%s\"", client->identity);
}

static void write_clients(struct json_writer *w, const struct clients *clients)
{
        const char *comma = "";

        json_writer_text(w, "\"clients\":[");
        for (const struct client *c = first_to_keep(clients); c; c = clients_next(clients, c)) {
                if (!comes_back(c))
                        continue;
                json_writer_text(w, comma);
                revive_client_write(c, w);
                json_writer_text(w, "}");
                comma = ",";
        }
        json_writer_text(w, "]");
}

/* A session that nobody else knows of ends with such a client. */
static bool is_for_nobody(const struct worker *worker)
{
        const struct client *sole = clients_sole(worker->clients);

        return worker->spec->kind == KEY_TRANSPORT && sole && !comes_back(sole);
}

int revive_write(const struct stdio *stdio, char **ret)
{
        const struct handshake *handshake = &stdio->handshake;
        _cleanup_json_writer_ struct json_writer w = { .failed = false };

        if (is_for_nobody(stdio->worker))
                return -ENOENT;
        if (!handshake_is_due(stdio) && !handshake->request)
                return -E2BIG;
        json_writer_text(&w, "{");
        if (!handshake_is_due(stdio)) {
                json_writer_text(&w, "\"initialize\":");
                json_writer_raw(&w, handshake->request, handshake->request_size);
                json_writer_text(&w, ",\"version\":");
                json_writer_string(&w, handshake->version);
                json_writer_text(&w, ",");
        }
        write_clients(&w, stdio->worker->clients);
        json_writer_text(&w, "}");
        return json_writer_finish(&w, ret, NULL);
}

int revive_client_read(struct json_slice entry, struct client **ret)
{
        char id[IPC_KEY_SIZE], identity[IDENTITY_SIZE] = "";
        struct json_slice value;

        if (json_get(entry, "id", &value) < 0 || json_string_copy(value, id, sizeof(id)) < 0)
                return -EBADMSG;
        if (json_get(entry, "identity", &value) >= 0 && json_string_copy(value, identity, sizeof(identity)) < 0)
                return -EBADMSG;
        return client_new(id, identity, ret);
}

static int read_client(struct stdio *stdio, struct json_slice entry)
{
        struct client *client;
        int r = revive_client_read(entry, &client);

        if (r < 0)
                return r;
        r = clients_attach(stdio->worker->clients, client);
        if (r < 0)
                client_free(client);
        return r;
}

int revive_read(struct stdio *stdio)
{
        struct handshake *handshake = &stdio->handshake;
        const char *text = stdio->worker->spec->revive;
        struct json_slice object, value, entry;
        int r = text ? json_validate(text, strlen(text), &object) : -ENOENT;

        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (json_get(object, "version", &value) >= 0)
                (void) json_string_copy(value, handshake->own_version, sizeof(handshake->own_version));
        if (json_get(object, "initialize", &value) >= 0)
                r = handshake_keep_request(handshake, value);
        if (r >= 0 && json_get(object, "clients", &value) >= 0)
                for (size_t cursor = 0; r >= 0 && json_next(value, &cursor, NULL, &entry) > 0;)
                        r = read_client(stdio, entry);
        handshake->had_client = clients_count(stdio->worker->clients) > 0;
        stdio->is_shared = clients_count(stdio->worker->clients) > 1;
        return r;
}

void revive_begin(struct stdio *stdio)
{
        struct handshake *handshake = &stdio->handshake;

        if (!handshake->request)
                return;
        handshake->is_replayed = true;
        handshake_begin_own(stdio, handshake->request, handshake->request_size);
}
