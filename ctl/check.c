/* `envmux check`: the supervisor's own eyes on a configuration, so that both always agree. */
#include "ctl/ctl.h"
#include "ctl/libexec.h"

static int run(const struct command *self, int argc, char **argv)
{
        const char *words[8] = { "envmux-supervisor", "--check" }, *drop_ins = NULL;
        char supervisor[PATH_MAX];
        size_t n = 2;
        bool json = false;
        int first, r;

        const struct option_spec options[] = { OPTION_DROP_INS(&drop_ins), OPTION_JSON(&json) };

        r = options_parse(self, options, ELEMENTSOF(options), argc, argv, &first);
        if (r != 0)
                return options_exit(r);
        if (argc - first > 1)
                return usage_error(self, "name one configuration file, or none for the installed one");
        r = libexec_find("envmux-supervisor", supervisor);
        if (r < 0)
                return ctl_fail("cannot find envmux-supervisor (last tried %s); is envmux installed completely?",
                                supervisor);
        if (json)
                words[n++] = "--json";
        if (drop_ins) {
                words[n++] = "--drop-ins";
                words[n++] = drop_ins;
        }
        words[n++] = "--"; /* a file named like an option is still a file */
        if (first < argc)
                words[n++] = argv[first];
        execv(supervisor, (char *const *) words);
        return ctl_fail("cannot start %s: %s", supervisor, strerror(errno));
}

const struct command command_check = {
        .name = "check",
        .synopsis = "[--drop-ins DIR] [--json] [FILE]",
        .summary = "Check a configuration: every mistake at once, with its place and reason",
        .details = "Reads FILE as `envmux run` would, without FILE the installed configuration with its drop-ins,\n"
                   "and compares what it may start with the limits of this machine. Exits with 0 when it can be\n"
                   "used, 2 when it holds mistakes.",
        .run = run,
};
