#include "ctl/ctl.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

#define OPTIONS_MAX 16
#define HELP_COLUMN 22

static void print_option(const struct option_spec *spec)
{
        int n = printf("  ");

        n += spec->letter ? printf("-%c, ", spec->letter) : printf("    ");
        n += printf("--%s", spec->name);
        if (spec->value_name)
                n += printf(" %s", spec->value_name);
        if (n >= HELP_COLUMN) {
                putchar('\n');
                n = 0;
        }
        printf("%*s%s\n", HELP_COLUMN - n, "", spec->help);
}

static void print_help(const struct command *command, const struct option_spec *specs, size_t n_specs)
{
        const struct option_spec help = { .letter = 'h', .name = "help", .help = "print this" };

        printf("Usage: envmux %s %s\n\n%s.\n", command->name, command->synopsis, command->summary);
        if (command->details)
                printf("\n%s\n", command->details);
        printf("\nOptions:\n");
        for (size_t i = 0; i < n_specs; i++)
                print_option(&specs[i]);
        print_option(&help);
        printf("\nSee envmux(1).\n");
}

/* getopt's two tables, made of ours; a long option's value is its index + 256. */
static void build_tables(const struct option_spec *specs, size_t n_specs, char *letters, struct option *longs)
{
        *letters++ = ':';
        for (size_t i = 0; i < n_specs; i++) {
                longs[i] = (struct option) {
                        .name = specs[i].name,
                        .has_arg = specs[i].value_name ? required_argument : no_argument,
                        .val = 256 + (int) i,
                };
                if (!specs[i].letter)
                        continue;
                *letters++ = specs[i].letter;
                if (specs[i].value_name)
                        *letters++ = ':';
        }
        longs[n_specs] = (struct option) { .name = "help", .val = 'h' };
        longs[n_specs + 1] = (struct option) { .name = NULL };
        *letters++ = 'h';
        *letters = '\0';
}

static const struct option_spec *find_spec(const struct option_spec *specs, size_t n_specs, int c)
{
        if (c >= 256)
                return &specs[c - 256];
        for (size_t i = 0; i < n_specs; i++)
                if (specs[i].letter == c)
                        return &specs[i];
        return NULL;
}

int options_parse(const struct command *command, const struct option_spec *specs, size_t n_specs, int argc, char **argv,
                  int *ret_first)
{
        char letters[2 * OPTIONS_MAX + 3];
        struct option longs[OPTIONS_MAX + 2];

        assert(n_specs <= OPTIONS_MAX);
        build_tables(specs, n_specs, letters, longs);
        optind = 0; /* glibc: start over, permuting */
        for (int c; (c = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
                const struct option_spec *spec;

                if (c == 'h') {
                        print_help(command, specs, n_specs);
                        return 1;
                }
                if (c == ':') {
                        usage_error(command, "option %s needs a value", argv[optind - 1]);
                        return -EINVAL;
                }
                spec = c == '?' ? NULL : find_spec(specs, n_specs, c);
                if (!spec) {
                        usage_error(command, "unknown option %s", argv[optind - 1]);
                        return -EINVAL;
                }
                if (spec->flag)
                        *spec->flag = true;
                else
                        *spec->value = optarg;
        }
        *ret_first = optind;
        return 0;
}

int usage_error(const struct command *command, const char *format, ...)
{
        va_list ap;

        fprintf(stderr, "envmux %s: ", command->name);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fprintf(stderr, "\nusage: envmux %s %s\nTry `envmux %s --help`.\n", command->name, command->synopsis,
                command->name);
        return CTL_USAGE;
}

int ctl_fail(const char *format, ...)
{
        va_list ap;

        fputs("envmux: ", stderr);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        return CTL_FAILED;
}
