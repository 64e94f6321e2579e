/* `envmux check FILE`: the supervisor's own eyes on a configuration, so that both always agree. */
#include "ctl/ctl.h"
#include "ctl/libexec.h"

static int run(const struct command *self, int argc, char **argv)
{
        char supervisor[PATH_MAX];
        bool json = false;
        int first, r;

        const struct option_spec options[] = { OPTION_JSON(&json) };

        r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);
        if (r != 0)
                return options_exit(r);
        if (argc - first != 1)
                return usage_error(self, "name one configuration file");
        r = libexec_find("envmux-supervisor", supervisor);
        if (r < 0)
                return ctl_fail("cannot find envmux-supervisor (last tried %s); is envmux installed completely?",
                                supervisor);
        /* A file named like an option is still a file. */
        if (json)
                execl(supervisor, "envmux-supervisor", "--check", "--json", "--", argv[first], (char *) NULL);
        else
                execl(supervisor, "envmux-supervisor", "--check", "--", argv[first], (char *) NULL);
        return ctl_fail("cannot start %s: %s", supervisor, strerror(errno));
}

const struct command command_check = {
        .name = "check",
        .synopsis = "[--json] FILE",
        .summary = "Check a configuration: every mistake at once, with its place and reason",
        .details = "Reads FILE as `envmux run` would, and compares what it may start with the limits of this\n"
                   "machine. Exits with 0 when it can be used, 2 when it holds mistakes.",
        .run = run,
};
