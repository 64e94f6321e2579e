/* `envmux COMMAND …`: finds the command in the table and runs it. */
#include "ctl/ctl.h"

#include <config.h>
#include <stdio.h>

static const struct command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "ctl/commands.def"
#undef COMMAND
};

static void print_help(void)
{
        printf("Usage: envmux COMMAND [ARGUMENTS…]\n\n"
               "One address for clients of the Model Context Protocol; behind it one isolated backend\n"
               "process per session.\n\n"
               "Commands:\n");
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
        printf("\nOptions:\n"
               "  -h, --help     print this\n"
               "      --version  print the version\n\n"
               "`envmux COMMAND --help` says more of each; see also envmux(1).\n");
}

static const struct command *find_command(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (streq(commands[i]->name, name))
                        return commands[i];
        return NULL;
}

static int dispatch(int argc, char **argv)
{
        const struct command *command;

        if (argc < 2) {
                fprintf(stderr, "envmux: which command? `envmux --help` lists them.\n");
                return CTL_USAGE;
        }
        if (streq(argv[1], "--help") || streq(argv[1], "-h") || streq(argv[1], "help")) {
                print_help();
                return CTL_OK;
        }
        if (streq(argv[1], "--version")) {
                printf("envmux %s\n", PACKAGE_VERSION);
                return CTL_OK;
        }
        command = find_command(argv[1]);
        if (!command) {
                fprintf(stderr, "envmux: there is no command \"%s\"; `envmux --help` lists them.\n", argv[1]);
                return CTL_USAGE;
        }
        return command->run(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
        int status = dispatch(argc, argv);

        if (fflush(stdout) < 0 || ferror(stdout))
                return ctl_fail("cannot write the output: %s", strerror(errno));
        return status;
}
