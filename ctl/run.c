/* `envmux run`: a whole envmux in the foreground. */
#include "ctl/ctl.h"
#include "ctl/run.h"
#include "ctl/watch.h"
#include "ctl/watch_child.h"
#include "common/log.h"

#include <stdio.h>

#define TRACKING_DEFAULT "auto"
#define LISTEN_DEFAULT "127.0.0.1:8700"

struct run {
        struct run_folders folders;
        struct run_listeners listeners;
        char *config, *drop_ins;
};

static void run_done(struct run *run)
{
        run_listeners_done(&run->listeners);
        run_folders_done(&run->folders);
        free(run->config);
        free(run->drop_ins);
}

static int on_ready(void *userdata)
{
        struct run *run = userdata;

        return run_greeting_print(run->folders.control, &run->listeners);
}

/* The configuration named on the command line, or one made of the command after "--". */
static int find_config(struct run *run, const char *file, const char *drop_ins, char **command)
{
        int r;

        if (!file) {
                r = run_config_write(run->folders.runtime, command, &run->config);
                return r < 0 ? ctl_fail("cannot write a configuration: %s", strerror(-r)) : 0;
        }
        run->config = realpath(file, NULL);
        if (!run->config)
                return ctl_fail("cannot read %s: %s", file, strerror(errno));
        if (drop_ins && !(run->drop_ins = realpath(drop_ins, NULL)))
                return ctl_fail("cannot read %s: %s", drop_ins, strerror(errno));
        return 0;
}

/* What the command line said. */
struct arguments {
        const char *listen, *control, *tracking, *drop_ins, *file;
        char **command;
};

static int run_all(struct run *run, const struct arguments *arguments)
{
        struct watch_options options = {
                .tracking = arguments->tracking,
                .folders = &run->folders,
                .listeners = &run->listeners,
                .on_ready = on_ready,
                .userdata = run,
        };
        int r;

        /* Mistakes first: they leave no trace. */
        if (arguments->command && !run_command_exists(arguments->command[0])) {
                (void) ctl_fail("%s is not found: give the path of a program, or a name that is in PATH",
                                arguments->command[0]);
                return CTL_USAGE;
        }
        if (arguments->file) {
                r = watch_child_check(arguments->file, arguments->drop_ins);
                if (r != 0)
                        return r < 0 ? CTL_FAILED : r;
        }
        r = run_folders_make(arguments->control, &run->folders);
        if (r < 0)
                return CTL_FAILED;
        r = run_routers_end(&run->folders);
        if (r < 0)
                log_warning_errno(r, "Cannot look for routers of an earlier run");
        r = run_listeners_make(arguments->listen, &run->listeners);
        if (r < 0) {
                run_folders_give_up(&run->folders);
                return r == -EINVAL ? CTL_USAGE : CTL_FAILED;
        }
        r = find_config(run, arguments->file, arguments->drop_ins, arguments->command);
        if (r == 0) {
                options.config = run->config;
                options.drop_ins = run->drop_ins;
                r = watch_run(&options);
        }
        run_folders_remove(&run->folders);
        return r;
}

static int run(const struct command *self, int argc, char **argv)
{
        struct run state = { .folders = RUN_FOLDERS_EMPTY };
        struct arguments arguments = { .listen = LISTEN_DEFAULT, .tracking = TRACKING_DEFAULT };
        char **command = NULL;
        int first, r;

        const struct option_spec options[] = {
                { .letter = 'l', .name = "listen", .value_name = "ADDR:PORT",
                  .help = "where clients connect; several with commas (" LISTEN_DEFAULT ")", .value = &arguments.listen },
                { .name = "tracking", .value_name = "HOW",
                  .help = "how a session's processes are known: auto, cgroup, process-tree (" TRACKING_DEFAULT ")",
                  .value = &arguments.tracking },
                OPTION_DROP_INS(&arguments.drop_ins),
                OPTION_CONTROL(&arguments.control),
        };

        /* What follows "--" is the server's, options included. */
        for (int i = 1; i < argc && !command; i++)
                if (streq(argv[i], "--")) {
                        command = argv + i + 1;
                        argc = i;
                }
        r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);
        if (r != 0)
                return options_exit(r);
        if (command ? !command[0] || argc > first : argc - first != 1)
                return usage_error(self, "name one configuration file, or a command after --");
        if (command && arguments.drop_ins)
                return usage_error(self, "--drop-ins goes with a configuration file");
        log_init("envmux");
        arguments.command = command;
        arguments.file = command ? NULL : argv[first];
        r = run_all(&state, &arguments);
        run_done(&state);
        return r;
}

const struct command command_run = {
        .name = "run",
        .synopsis = "[--listen ADDR:PORT] [--control PATH] [--tracking HOW] [--drop-ins DIR] CONFIG | -- COMMAND [ARGUMENT…]",
        .summary = "Serve a configuration, or one command, in the foreground",
        .details = "Prints each server's address when ready. Ctrl-C ends every process; a second Ctrl-C at\n"
                   "once. Sockets are in the folder of the control socket, workspaces in $XDG_STATE_HOME,\n"
                   "/var/lib/envmux (root), ~/.local/state/envmux, or /tmp/envmux-UID without HOME; nothing of the run stays there.",
        .run = run,
};
