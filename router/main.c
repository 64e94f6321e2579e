/* envmux-router --slot N --token HEX --listeners COUNT [--user UID:GID]: HTTP in front of the workers.
 *
 * Started by the supervisor with the listening sockets on fd 3 and following and the folder of
 * sockets as working directory (ARCHITECTURE.md). */
#include "common/log.h"
#include "common/nofile.h"
#include "router/router.h"
#include "router/sandbox.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

static int parse_number(const char *text, unsigned max, unsigned *ret)
{
        char *end;

        errno = 0;
        unsigned long value = strtoul(text, &end, 10);

        if (errno || end == text || *end || text[0] == '-' || value > max)
                return -EINVAL;
        *ret = (unsigned) value;
        return 0;
}

static int parse_user(const char *text, struct sandbox_user *ret)
{
        unsigned uid, gid;
        char end;

        if (sscanf(text, "%u:%u%c", &uid, &gid, &end) != 2 || uid == 0 || gid == 0)
                return -EINVAL;
        *ret = (struct sandbox_user) { .is_set = true, .uid = uid, .gid = gid };
        return 0;
}

static int parse_args(int argc, char **argv, struct router_args *ret, struct sandbox_user *ret_user)
{
        static const struct option options[] = {
                { "slot", required_argument, NULL, 's' },
                { "token", required_argument, NULL, 't' },
                { "listeners", required_argument, NULL, 'l' },
                { "user", required_argument, NULL, 'u' },
                {},
        };
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                int r = 0;

                switch (option) {
                case 's':
                        r = parse_number(optarg, UINT16_MAX, &ret->slot);
                        break;
                case 'l':
                        r = parse_number(optarg, ROUTER_LISTENERS_MAX, &ret->n_listeners);
                        break;
                case 'u':
                        r = parse_user(optarg, ret_user);
                        break;
                case 't':
                        ret->token = optarg;
                        break;
                default:
                        r = -EINVAL;
                }
                if (r < 0)
                        return r;
        }
        if (optind != argc || ret->n_listeners == 0 || !ret->token || strlen(ret->token) >= IPC_TOKEN_SIZE)
                return -EINVAL;
        return 0;
}

static int check_listeners(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                int is_listening = 0;
                socklen_t size = sizeof(is_listening);

                if (getsockopt(ROUTER_LISTENER_FD + (int) i, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) < 0)
                        return -errno;
                if (!is_listening)
                        return -EINVAL;
        }
        return 0;
}

int main(int argc, char **argv)
{
        struct router_args args = {};
        struct sandbox_user user = {};
        _cleanup_(router_freep) struct router *router = NULL;

        log_init("envmux-router");
        if (parse_args(argc, argv, &args, &user) < 0) {
                (void) fprintf(stderr, "usage: envmux-router --slot N --token HEX --listeners COUNT [--user UID:GID]\n");
                return 2;
        }
        int r = check_listeners(args.n_listeners);

        if (r < 0) {
                log_errno(r, "fd 3 and following must be %u listening sockets", args.n_listeners);
                return 2;
        }
        (void) signal(SIGPIPE, SIG_IGN);
        (void) nofile_raise(); /* two per client */
        r = sandbox_enter(&user);
        if (r < 0) {
                log_errno(r, "cannot shut itself in");
                return 1;
        }
        r = router_new(&args, &router);
        if (r == 0)
                r = router_run(router);
        if (r < 0)
                log_errno(r, "stopped");
        return r < 0 ? 1 : 0;
}
