/* envmux-supervisor(8): options, then the root object's loop. */
#include "common/fd.h"
#include "common/log.h"
#include "common/nofile.h"
#include "supervisor/check.h"
#include "supervisor/former.h"
#include "supervisor/log_event.h"
#include "supervisor/supervisor.h"

#include <config.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>

#define INSTALLED_CONFIG PKGSYSCONFDIR "/envmux.json"
#define INSTALLED_DROP_INS PKGSYSCONFDIR "/conf.d"
#define EXIT_USAGE 2 /* a wrong command line or configuration */

enum {
        OPT_CONFIG = 256, OPT_DROP_INS, OPT_RUNTIME, OPT_STATE, OPT_CONTROL, OPT_TRACKING, OPT_CGROUP_ROOT, OPT_BACKEND_USER, OPT_ROUTER_USER, OPT_CHECK, OPT_JSON,
        OPT_SCHEMA, OPT_VERSION, OPT_HELP,
};

/* What the command line said. */
struct arguments {
        const char *config, *drop_ins, *runtime, *state, *control, *cgroup_root, *backend_user, *router_user;
        enum tracking_mode tracking;
        bool check, json, schema;
};

static const struct option long_options[] = {
        { "config", required_argument, NULL, OPT_CONFIG },
        { "drop-ins", required_argument, NULL, OPT_DROP_INS },
        { "runtime", required_argument, NULL, OPT_RUNTIME },
        { "state", required_argument, NULL, OPT_STATE },
        { "control", required_argument, NULL, OPT_CONTROL },
        { "tracking", required_argument, NULL, OPT_TRACKING },
        { "cgroup-root", required_argument, NULL, OPT_CGROUP_ROOT },
        { "backend-user", required_argument, NULL, OPT_BACKEND_USER },
        { "router-user", required_argument, NULL, OPT_ROUTER_USER },
        { "check", no_argument, NULL, OPT_CHECK },
        { "json", no_argument, NULL, OPT_JSON },
        { "schema", no_argument, NULL, OPT_SCHEMA },
        { "version", no_argument, NULL, OPT_VERSION },
        { "help", no_argument, NULL, OPT_HELP },
        { 0 },
};

static void print_help(void)
{
        puts("Usage: envmux-supervisor --config FILE [--drop-ins DIR] [--runtime DIR] [--state DIR]\n"
             "                         [--control PATH] [--tracking auto|cgroup|process-tree]\n"
             "                         [--cgroup-root DIR] [--backend-user USER] [--router-user USER]\n"
             "       envmux-supervisor --check [--json] [--drop-ins DIR] [FILE]\n"
             "       envmux-supervisor --schema\n"
             "\n"
             "Starts and ends the backends of envmux and keeps its routers running. It is started by systemd\n"
             "or by `envmux run`, which hand it its listening sockets; see envmux-supervisor(8).\n"
             "\n"
             "  --config FILE       the configuration, envmux.json(5)\n"
             "  --drop-ins DIR      and what is read after it: files DIR/NAME.json, in the order of their names\n"
             "  --runtime DIR       sockets and records (default $RUNTIME_DIRECTORY, else /run/envmux)\n"
             "  --state DIR         workspaces (default $STATE_DIRECTORY, else /var/lib/envmux)\n"
             "  --control PATH      control socket (default: control in the runtime folder)\n"
             "  --tracking HOW      what says which processes are a session's: auto (cgroup where one can be\n"
             "                      had), cgroup, process-tree\n"
             "  --cgroup-root DIR   cgroup v2 folder for sessions, absolute, or relative to our own cgroup\n"
             "                      (default: one below our own)\n"
             "  --backend-user USER who backends run as where their configuration names no user\n"
             "  --router-user USER  who routers run as, shut into the folder of sockets\n"
             "  --check             say everything that is wrong with the configuration, exit with 2 if anything is;\n"
             "                      without FILE the installed one: " INSTALLED_CONFIG "\n"
             "                      with the drop-ins of " INSTALLED_DROP_INS "\n"
             "  --json              with --check: as JSON\n"
             "  --schema            print the JSON Schema of the configuration\n"
             "  --version, --help");
}

static bool tracking_is_good(struct arguments *arguments, const char *text)
{
        if (tracking_mode_parse(text, &arguments->tracking) >= 0)
                return true;
        fprintf(stderr, "envmux-supervisor: --tracking %s: give auto, cgroup or process-tree\n", text);
        return false;
}

/* -1: go on; else the exit status. */
static int arguments_parse(int argc, char **argv, struct arguments *ret)
{
        for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) >= 0;)
                switch (c) {
                case OPT_CONFIG: ret->config = optarg; break;
                case OPT_DROP_INS: ret->drop_ins = optarg; break;
                case OPT_RUNTIME: ret->runtime = optarg; break;
                case OPT_STATE: ret->state = optarg; break;
                case OPT_CONTROL: ret->control = optarg; break;
                case OPT_TRACKING:
                        if (!tracking_is_good(ret, optarg))
                                return 2;
                        break;
                case OPT_CGROUP_ROOT: ret->cgroup_root = optarg; break;
                case OPT_BACKEND_USER: ret->backend_user = optarg; break;
                case OPT_ROUTER_USER: ret->router_user = optarg; break;
                case OPT_CHECK: ret->check = true; break;
                case OPT_JSON: ret->json = true; break;
                case OPT_SCHEMA: ret->schema = true; break;
                case OPT_VERSION: puts(PACKAGE_STRING); return EXIT_SUCCESS;
                case OPT_HELP: print_help(); return EXIT_SUCCESS;
                default: return EXIT_USAGE;
                }
        if (ret->check && !ret->config && optind == argc - 1)
                ret->config = argv[optind++];
        if (ret->check && !ret->config && optind == argc) {
                ret->config = INSTALLED_CONFIG;
                ret->drop_ins = ret->drop_ins ? ret->drop_ins : INSTALLED_DROP_INS;
        }
        if (optind < argc) {
                fprintf(stderr, "envmux-supervisor: %s: no such argument\n", argv[optind]);
                return EXIT_USAGE;
        }
        if (!ret->config && !ret->schema) {
                fprintf(stderr, "envmux-supervisor: name the configuration with --config FILE\n");
                return EXIT_USAGE;
        }
        return -1;
}

/* An absolute path with room to spare; the file need not exist. */
static int make_absolute(const char *path, char **ret)
{
        char folder[PATH_MAX];

        if (path[0] == '/')
                *ret = strdup(path);
        else if (!getcwd(folder, sizeof(folder)))
                return -errno;
        else if (asprintf(ret, "%s/%s", folder, path) < 0)
                *ret = NULL;
        return *ret ? 0 : -ENOMEM;
}

static const char *first_of(const char *a, const char *b, const char *c)
{
        return a ? a : b ? b : c;
}

/* The file that this process runs; by now its name may be another one's. */
static int find_exe(char ret[static PATH_MAX])
{
        static const char deleted[] = " (deleted)";
        ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);

        if (n < 0)
                return -errno;
        ret[n] = '\0';
        size_t size = (size_t) n;

        if (size > strlen(deleted) && streq(ret + size - strlen(deleted), deleted))
                ret[size - strlen(deleted)] = '\0';
        return 0;
}

/* Where the other programs are: as told, beside this one (a build tree, or an installed tree that was
 * moved), or where they were to be installed. */
static int find_libexec(const char *exe, char ret[static PATH_MAX])
{
        const char *told = getenv("ENVMUX_LIBEXEC");
        char worker[PATH_MAX];

        if (told)
                return str_copy(ret, PATH_MAX, told);
        (void) str_copy(ret, PATH_MAX, exe);
        *strrchr(ret, '/') = '\0';
        if ((size_t) snprintf(worker, sizeof(worker), "%s/envmux-worker", ret) < sizeof(worker) &&
            access(worker, X_OK) == 0)
                return 0;
        return str_copy(ret, PATH_MAX, PKGLIBEXECDIR);
}

static int load(const char *path, const char *drop_ins, const char *runtime, struct config **ret)
{
        struct config_report report = { .notes = NULL };
        int r = config_load(path, drop_ins, ret, &report);

        /* Sessions of an earlier supervisor do not end because somebody is in the middle of an edit. */
        if (r < 0 && former_load(runtime, path, ret, &report) >= 0) {
                r = 0;
                log_event(LOG_EVENT_CONFIG_FORMER,
                          "%s cannot be used: an earlier supervisor's sessions go on with the configuration that it had",
                          path);
        }
        check_print_report(stderr, &report);
        config_report_done(&report);
        return r;
}

static int serve(const struct arguments *arguments, char *const *argv, rlim_t nofile)
{
        _cleanup_free_ char *config_path = NULL, *drop_ins = NULL, *runtime = NULL, *state = NULL, *control = NULL;
        _cleanup_(supervisor_freep) struct supervisor *supervisor = NULL;
        struct config *config = NULL;
        char exe[PATH_MAX], libexec[PATH_MAX];
        _cleanup_fd_ int start_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int r = make_absolute(arguments->config, &config_path);

        if (r >= 0 && arguments->drop_ins)
                r = make_absolute(arguments->drop_ins, &drop_ins);
        if (r >= 0)
                r = make_absolute(first_of(arguments->runtime, getenv("RUNTIME_DIRECTORY"), "/run/envmux"), &runtime);
        if (r >= 0 && load(config_path, drop_ins, runtime, &config) < 0)
                return EXIT_USAGE;
        if (r >= 0)
                r = make_absolute(first_of(arguments->state, getenv("STATE_DIRECTORY"), "/var/lib/envmux"), &state);
        if (r >= 0 && arguments->control)
                r = make_absolute(arguments->control, &control);
        else if (r >= 0 && asprintf(&control, "%s/control", runtime) < 0) {
                control = NULL;
                r = -ENOMEM;
        }
        if (r >= 0)
                r = find_exe(exe);
        if (r >= 0)
                r = find_libexec(exe, libexec);
        if (r < 0) {
                config_free(config);
                return EXIT_FAILURE;
        }
        const struct supervisor_options options = {
                .config = config_path,
                .drop_ins = drop_ins,
                .runtime = runtime,
                .state = state,
                .control = control,
                .tracking = arguments->tracking,
                .cgroup_root = arguments->cgroup_root,
                .backend_user = arguments->backend_user,
                .router_user = arguments->router_user,
                .libexec = libexec,
                .exe = exe,
                .argv = argv,
                .start_fd = start_fd,
                .nofile = nofile,
        };

        return supervisor_new(&options, config, &supervisor) < 0 ? EXIT_FAILURE : supervisor_run(supervisor);
}

int main(int argc, char **argv)
{
        struct arguments arguments = { .config = NULL };
        int status = arguments_parse(argc, argv, &arguments);

        if (status >= 0)
                return status;
        if (arguments.schema)
                return check_print_schema();
        if (arguments.check)
                return check_run(arguments.config, arguments.drop_ins, arguments.json);
        log_init("envmux-supervisor");
        return serve(&arguments, argv, nofile_raise());
}
