#include "ctl/run.h"

#include "common/log.h"
#include "common/varlink_client.h"

#include <json-c/json.h>
#include <stdio.h>

#define SERVERS_METHOD "io.envmux.Control.Servers"
#define ANSWER_USEC (10 * USEC_PER_SEC)

static const char *member(struct json_object *object, const char *name)
{
        struct json_object *value;

        if (!json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, json_type_string))
                return NULL;
        return json_object_get_string(value);
}

/* One server: its address, and the entry that most clients' mcpServers take. */
static void print_server(struct json_object *server, const char *url)
{
        const char *name = member(server, "name"), *path = member(server, "path");

        if (!name || !path)
                return;
        printf("%s  %s%s\n", name, url, path);
        printf("    \"%s\": { \"type\": \"http\", \"url\": \"%s%s\" }\n", name, url, path);
}

static int print_servers(const char *control, const char *url)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = NULL;
        struct varlink_answer answer;
        struct json_object *servers;
        int r = varlink_client_connect(control, &client);

        if (r < 0)
                return r;
        varlink_client_set_timeout(client, ANSWER_USEC);
        r = varlink_client_call(client, SERVERS_METHOD, NULL, &answer);
        if (r < 0)
                return r;
        if (answer.error || !json_object_object_get_ex(answer.parameters, "servers", &servers) ||
            !json_object_is_type(servers, json_type_array))
                return -EPROTO;
        for (size_t i = 0; i < json_object_array_length(servers); i++)
                print_server(json_object_array_get_idx(servers, i), url);
        return 0;
}

int run_greeting_print(const char *control, const struct run_listeners *listeners)
{
        _cleanup_free_ char *first = NULL;
        int r = run_listener_url(listeners->fds[0], &first);

        if (r < 0)
                return r;
        r = print_servers(control, first);
        if (r < 0)
                log_warning_errno(r, "Cannot list the servers: the control socket %s does not answer", control);
        printf("Ready at %s", first);
        for (size_t i = 1; i < listeners->n; i++) {
                _cleanup_free_ char *url = NULL;

                r = run_listener_url(listeners->fds[i], &url);
                if (r < 0)
                        return r;
                printf(", %s", url);
        }
        printf("; control socket %s. Ctrl-C ends everything.\n", control);
        return fflush(stdout) < 0 ? -errno : 0;
}
