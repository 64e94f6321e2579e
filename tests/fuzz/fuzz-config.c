/* Whatever stands in a configuration, it is refused with mistakes or loaded as something that can run. */
#include "common/fd.h"
#include "supervisor/config.h"
#include "supervisor/config_server.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>

static void check_expands(const char *text)
{
        static const char *const values[TEMPLATE__MAX] = { [TEMPLATE_SEED] = "1", [TEMPLATE_WORKSPACE] = "/w" };
        _cleanup_free_ char *expanded = NULL;

        assert(template_expand(text, values, &expanded) == 0);
}

static void check_server(const struct server_config *server)
{
        unsigned uses = server->cwd ? template_uses(server->cwd) : 0;

        assert(*server->name && strlen(server->name) <= CONFIG_SERVER_NAME_MAX && !strchr(server->name, '/'));
        assert(*server->command && template_uses(server->command) == 0);
        assert(!strchr(server->command, '/') || server->command[0] == '/');
        assert(strlen(server->definition_hash) == 64);
        assert(server->keys.kinds != 0 && server->sessions_max > 0 && server->idle_usec > 0);
        assert(server->buffer_bytes_max >= server->message_bytes_max);
        for (char **arg = server->args; *arg; arg++) {
                check_expands(*arg);
                uses |= template_uses(*arg);
        }
        for (char **variable = server->env; *variable; variable++) {
                assert(strchr(*variable, '=') > *variable);
                check_expands(*variable);
                uses |= template_uses(*variable);
        }

        bool listens = uses & (1u << TEMPLATE_PORT | 1u << TEMPLATE_SOCKET);

        assert(listens == (server->transport == TRANSPORT_HTTP));
}

static void check_load(const char *path)
{
        _cleanup_(config_freep) struct config *config = NULL;
        struct config_report report = {};
        int r = config_load(path, NULL, &config, &report);

        assert(r == (report.n_mistakes > 0 ? -EINVAL : 0));
        assert(!config == (r < 0));
        for (size_t i = 0; config && i < config->n_servers; i++)
                check_server(config->servers[i]);
        config_report_done(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char path[] = "/tmp/envmux-fuzz-XXXXXX";
        int fd = mkostemp(path, O_CLOEXEC);

        assert(fd >= 0);
        if (size < 1024 * 1024 && fd_write_all(fd, data, size) >= 0)
                check_load(path);
        fd_close(fd);
        unlink(path);
        return 0;
}
