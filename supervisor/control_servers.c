/* Servers: what is configured, and where clients connect. */
#include "supervisor/config_schema.h"
#include "supervisor/control_internal.h"
#include "supervisor/era.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define ADDRESS_SIZE (sizeof("http://[]:65535") + INET6_ADDRSTRLEN)

/* "http://127.0.0.1:8700" of a listener; one on every address is reached through loopback. */
static int write_address(int fd, char ret[static ADDRESS_SIZE])
{
        struct sockaddr_storage storage;
        socklen_t size = sizeof(storage);
        char text[INET6_ADDRSTRLEN];

        if (getsockname(fd, (struct sockaddr *) &storage, &size) < 0)
                return -errno;
        if (storage.ss_family == AF_INET) {
                struct sockaddr_in *in = (struct sockaddr_in *) &storage;

                if (in->sin_addr.s_addr == htonl(INADDR_ANY))
                        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
                snprintf(ret, ADDRESS_SIZE, "http://%s:%u", text, ntohs(in->sin_port));
        } else if (storage.ss_family == AF_INET6) {
                struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) &storage;

                if (IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
                        in6->sin6_addr = in6addr_loopback;
                inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
                snprintf(ret, ADDRESS_SIZE, "http://[%s]:%u", text, ntohs(in6->sin6_port));
        } else {
                return -EAFNOSUPPORT;
        }
        return 0;
}

/* Those that take room. */
static unsigned count_sessions(const struct session_table *table, const char *server)
{
        unsigned n = 0;

        for (const struct session *s = session_next(table, NULL); s; s = session_next(table, s))
                n += s->state != SESSION_DORMANT && streq(s->record.server, server);
        return n;
}

static void write_duration(struct json_writer *writer, const char *name, usec_t usec)
{
        if (usec != USEC_INFINITY)
                control_write_int(writer, name, (int64_t) usec);
}

/* "keys" in the words of the configuration. */
static void write_keys(struct json_writer *writer, const struct server_keys *keys)
{
        static const char *const words[] = {
                [KEY_NAMED] = "\"path\",\"header\"", [KEY_TRANSPORT] = "\"transport\"",
                [KEY_CLIENT] = "\"client\"", [KEY_SHARED] = "\"principal\"",
        };
        char meta[sizeof(CONFIG_KEYS_META) + IPC_META_SIZE];
        const char *comma = "";

        json_writer_text(writer, ",\"keys\":[");
        for (size_t kind = 0; kind < ELEMENTSOF(words); kind++)
                if (words[kind] && keys->kinds & 1u << kind) {
                        json_writer_text(writer, comma);
                        json_writer_text(writer, words[kind]);
                        comma = ",";
                }
        if (keys->kinds & 1u << KEY_META) {
                (void) snprintf(meta, sizeof(meta), CONFIG_KEYS_META "%s", keys->meta);
                json_writer_text(writer, comma);
                json_writer_string(writer, meta);
        }
        json_writer_text(writer, "]");
}

static void write_server(struct json_writer *writer, const struct supervisor *supervisor,
                         const struct server_config *server)
{
        const bool is_default = server == supervisor->config->default_server;
        static const char *const keyless[] = {
                [KEYLESS_SHARED] = "shared", [KEYLESS_PER_REQUEST] = "per-request", [KEYLESS_REJECT] = "reject",
        };
        static const char *const attach[] = {
                [ATTACH_JOIN] = "join", [ATTACH_REPLACE] = "replace", [ATTACH_REJECT] = "reject",
        };
        char path[IPC_SERVER_SIZE + sizeof("//mcp")];

        snprintf(path, sizeof(path), "/%s/mcp", server->name);
        json_writer_text(writer, "{");
        control_write_string(writer, "name", server->name);
        control_write_string(writer, "path", is_default ? "/mcp" : path);
        control_write_bool(writer, "is_default", is_default);
        control_write_string(writer, "transport", server->transport == TRANSPORT_HTTP ? "http" : "stdio");
        write_keys(writer, &server->keys);
        control_write_string(writer, "keyless", keyless[server->keyless]);
        control_write_string(writer, "era", era_to_string(era_of(supervisor->eras, server)));
        control_write_string(writer, "attach", attach[server->attach]);
        control_write_int(writer, "sessions", count_sessions(supervisor->sessions, server->name));
        control_write_int(writer, "sessions_max", server->sessions_max);
        write_duration(writer, "idle_timeout_usec", server->idle_usec);
        write_duration(writer, "lifetime_usec", server->lifetime_usec);
        write_duration(writer, "request_timeout_usec", server->request_usec);
        control_write_string(writer, "file", server->file);
        json_writer_text(writer, "}");
}

void control_on_servers(struct varlink_call *call, void *userdata)
{
        const struct supervisor *supervisor = ((struct control *) userdata)->supervisor;
        const struct config *config = supervisor->config;
        struct json_writer answer = { .data = NULL };
        const char *comma = "";

        json_writer_text(&answer, "{\"addresses\":[");
        for (size_t i = 0; i < supervisor->listen.n_http; i++) {
                char address[ADDRESS_SIZE];

                if (write_address(supervisor->listen.http[i], address) < 0)
                        continue;
                json_writer_text(&answer, comma);
                json_writer_string(&answer, address);
                comma = ",";
        }
        json_writer_text(&answer, "],\"files\":[");
        for (size_t i = 0; config->files[i]; i++) {
                json_writer_text(&answer, i ? "," : "");
                json_writer_string(&answer, config->files[i]);
        }
        json_writer_text(&answer, "],\"servers\":[");
        for (size_t i = 0; i < config->n_servers; i++) {
                json_writer_text(&answer, i ? "," : "");
                write_server(&answer, supervisor, config->servers[i]);
        }
        json_writer_text(&answer, "]}");
        varlink_reply(call, &answer);
}
