#include "supervisor/config_server_check.h"

#include "supervisor/account.h"
#include "supervisor/config_command.h"
#include "supervisor/users.h"

#include <stdio.h>

void config_server_check_listening(const struct config_at *entry, struct server_config *server, unsigned uses)
{
        const unsigned port = 1u << TEMPLATE_PORT, socket = 1u << TEMPLATE_SOCKET;
        struct config_at at = config_at_member(entry, "envmux");

        if (server->transport != TRANSPORT_HTTP)
                return;
        if (!(uses & (port | socket)))
                config_report_mistake(&at, "with transport \"http\" the backend must be told where to listen: put "
                                      "${envmux:port} (or ${envmux:socket}) into \"args\" or \"env\"");
        if ((uses & port) && (uses & socket))
                config_report_mistake(&at, "${envmux:port} and ${envmux:socket} exclude each other");
        server->uses_socket = uses & socket;
}

void config_server_check_buffers(const struct config_at *entry, const struct server_config *server)
{
        struct config_at at = config_at_member(entry, "envmux");

        if (server->buffer_bytes_max < server->message_bytes_max)
                config_report_mistake(&at, "buffer_max is smaller than message_max, so a message could never pass");
}

void config_server_check_keys(const struct config_at *entry, const struct server_config *server)
{
        struct config_at at = config_at_member(entry, "envmux");

        if (server->keys.kinds & 1u << KEY_SHARED && server->keyless != KEYLESS_SHARED)
                config_report_mistake(&at, "\"keyless\" can only be \"shared\" beside the key \"principal\", which every "
                                      "request has");
}

void config_server_check_user(const struct config_at *entry, const char *user, const char *inherited)
{
        struct config_at own = config_at_member(entry, "envmux"), at = config_at_member(&own, "user");
        _cleanup_account_ struct account account = { .uid = geteuid() };

        if (!user || (inherited && streq(user, inherited)))
                return;
        bool is_dynamic = streq(user, USER_DYNAMIC);

        if (!is_dynamic && account_find(user, &account) < 0)
                config_report_mistake(&at, "there is no user %s on this machine", user);
        else if (!is_dynamic && account.uid == 0 && !streq(user, USER_ROOT))
                config_report_mistake(&at, "that is root: write \"root\" if its backends are to run with all rights");
        else if (geteuid() != 0 && (is_dynamic || account.uid != geteuid()))
                config_report_mistake(&at, "only root can start backends as another user, and this is not root");
}

static const char *variable(char *const *env, const char *name)
{
        size_t size = strlen(name);

        for (; env && *env; env++)
                if (strncmp(*env, name, size) == 0 && (*env)[size] == '=')
                        return *env + size + 1;
        return NULL;
}

/* Notes arguments that look like files beside the configuration, where the backend will not be. */
static int check_arguments(const struct config_at *entry, const struct server_config *server, const char *folder)
{
        struct config_at args = config_at_member(entry, "args");

        for (size_t i = 0; !server->cwd && server->args[i]; i++) {
                struct config_at element = config_at_element(&args, i);
                _cleanup_free_ char *path = NULL;

                const char *argument = server->args[i];

                if (*argument == '/' || *argument == '-' || template_uses(argument) || !strpbrk(argument, "./"))
                        continue;
                if (asprintf(&path, "%s/%s", folder, argument) < 0)
                        return -ENOMEM;
                if (access(path, F_OK) == 0)
                        config_report_note(&element, "%s is there beside the configuration, but the backend starts in "
                                                     "its private workspace: write an absolute path, or "
                                                     "\"cwd\": \".\"",
                                           argument);
        }
        return 0;
}

int config_server_check_files(const struct config_at *entry, const struct server_config *server, const char *folder)
{
        struct config_at command = config_at_member(entry, "command");
        _cleanup_free_ char *found = NULL;
        int r = config_command_find(server->command, variable(server->env, "PATH"), getenv("ENVMUX_LIBEXEC"), &found);

        if (r == -ENOMEM)
                return r;
        if (r < 0 && !server->prepare) /* which may be what installs it */
                config_report_note(&command, "%s is not found%s", server->command,
                                   strchr(server->command, ' ') ? " (arguments belong into \"args\")" : "");
        return check_arguments(entry, server, folder);
}
