/* The `envmux` command: a table of commands, one file each, and what they share. */
#pragma once

#include "common/macro.h"

/* Exit statuses, documented in envmux(1). */
enum {
        CTL_OK = 0,
        CTL_FAILED = 1,    /* the daemon, the session or the tool said no */
        CTL_USAGE = 2,     /* a mistake on the command line or in a configuration */
        CTL_NO_DAEMON = 3, /* nothing answers on the control socket */
};

struct command {
        const char *name;
        const char *synopsis; /* what follows `envmux NAME` */
        const char *summary;  /* one line in `envmux --help` */
        const char *details;  /* further lines of `envmux NAME --help`; may be NULL */
        /* argv[0] is the command's name. Returns the exit status. */
        int (*run)(const struct command *self, int argc, char **argv);
};

#define COMMAND(name) extern const struct command command_##name;
#include "ctl/commands.def"
#undef COMMAND

/* One option of a command; exactly one of flag and value is set. */
struct option_spec {
        char letter;            /* '\0': only the long form */
        const char *name;
        const char *value_name; /* NULL: a switch */
        const char *help;
        bool *flag;
        const char **value;     /* borrowed from argv */
};

#define OPTION_CONTROL(ptr)                                                                      \
        { .name = "control", .value_name = "PATH", .help = "control socket of the daemon", .value = (ptr) }
#define OPTION_DROP_INS(ptr)                                                                     \
        { .name = "drop-ins", .value_name = "DIR", .help = "read DIR/NAME.json after it", .value = (ptr) }
#define OPTION_JSON(ptr) { .letter = 'j', .name = "json", .help = "print JSON", .flag = (ptr) }

/* Parses the options of one command, --help included, in any order up to "--". 0: go on, and
 * *ret_first is the index of the first operand in the permuted argv; 1: help was printed;
 * -EINVAL: a mistake, which was printed with a pointer to --help. */
int options_parse(const struct command *command, const struct option_spec *specs, size_t n_specs, int argc, char **argv,
                  int *ret_first);

/* Exit status for a non-zero result of options_parse. */
static inline int options_exit(int r)
{
        return r > 0 ? CTL_OK : CTL_USAGE;
}

/* Prints "envmux NAME: message" and where to read on; returns CTL_USAGE. */
int usage_error(const struct command *command, const char *format, ...) _printf_(2, 3);

/* Prints "envmux: message" on standard error; returns CTL_FAILED. */
int ctl_fail(const char *format, ...) _printf_(1, 2);
