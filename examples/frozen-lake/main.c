/* frozen-lake: a game to learn by, as an MCP server over standard input and output. */
#include "examples/frozen-lake/lake_mcp.h"

#include <config.h>
#include <getopt.h>
#include <stdio.h>

#define SIZE_DEFAULT 4

static const char usage[] =
        "Usage: frozen-lake [OPTIONS]\n"
        "Serve the game of the frozen lake: MCP, one message a line, on standard input and output.\n"
        "\n"
        "  --seed=N            which lake, from 0 on; empty or not given: what the client's initialize\n"
        "                      says (params.clientInfo._extra.seed, or .config.seed there), else 0\n"
        "  --size=N            cells on each side, 2 to 64; empty or not given: what the client's\n"
        "                      initialize says (.config.size), else 4\n"
        "  --print-map[=COUNT] print the lake instead, or COUNT of them from seed N on, and exit\n"
        "  --help, --version\n";

struct options {
        struct lake_mcp lake;
        uint64_t n_maps; /* 0: serve */
};

/* A decimal number; whole, without a sign. */
static int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
        char *end;

        if (*text < '0' || *text > '9')
                return -EINVAL;
        errno = 0;
        unsigned long long n = strtoull(text, &end, 10);

        if (*end)
                return -EINVAL;
        if (errno == ERANGE || n < min || n > max)
                return -ERANGE;
        *ret = n;
        return 0;
}

/* An option that may be empty, because a template without a value leaves it so. */
static int parse_optional(const char *name, const char *text, uint64_t min, uint64_t max, bool *ret_given,
                          uint64_t *ret)
{
        int r = *text ? parse_number(text, min, max, ret) : 0;

        if (r < 0) {
                fprintf(stderr, "frozen-lake: --%s must be a number of %llu to %llu, not '%s'\n", name,
                        (unsigned long long) min, (unsigned long long) max, text);
                return r;
        }
        *ret_given = *text != '\0';
        return 0;
}

/* 0: go on; 1: done, exit with success; negative: exit with failure. */
static int parse_options(int argc, char **argv, struct options *o)
{
        enum { OPT_SEED = 256, OPT_SIZE, OPT_PRINT_MAP, OPT_HELP, OPT_VERSION };
        static const struct option long_options[] = {
                { "seed", required_argument, NULL, OPT_SEED },
                { "size", required_argument, NULL, OPT_SIZE },
                { "print-map", optional_argument, NULL, OPT_PRINT_MAP },
                { "help", no_argument, NULL, OPT_HELP },
                { "version", no_argument, NULL, OPT_VERSION },
                { NULL, 0, NULL, 0 },
        };
        uint64_t size = SIZE_DEFAULT;
        bool is_given;
        int option, r = 0;

        while (r == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
                switch (option) {
                case OPT_SEED:
                        r = parse_optional("seed", optarg, 0, UINT64_MAX, &o->lake.has_seed, &o->lake.seed);
                        break;
                case OPT_SIZE:
                        r = parse_optional("size", optarg, LAKE_SIZE_MIN, LAKE_SIZE_MAX, &o->lake.has_size, &size);
                        break;
                case OPT_PRINT_MAP:
                        r = parse_optional("print-map", optarg ? optarg : "1", 1, 1000000, &is_given, &o->n_maps);
                        break;
                case OPT_HELP:
                        return fputs(usage, stdout) < 0 ? -EIO : 1;
                case OPT_VERSION:
                        return puts("frozen-lake " PACKAGE_VERSION) < 0 ? -EIO : 1;
                default:
                        return -EINVAL;
                }
        if (r == 0 && optind < argc) {
                fprintf(stderr, "frozen-lake: unexpected argument '%s'\n", argv[optind]);
                return -EINVAL;
        }
        o->lake.size = (unsigned) size;
        return r;
}

static int print_maps(const struct options *o)
{
        for (uint64_t i = 0; i < o->n_maps; i++) {
                char text[LAKE_TEXT_SIZE];
                struct lake_map map;

                lake_map_generate(o->lake.size, o->lake.seed + i, &map);
                lake_map_text(&map, text);
                if (printf("%s%s\n", i > 0 ? "\n" : "", text) < 0)
                        return -EIO;
        }
        return fflush(stdout) == 0 ? 0 : -EIO;
}

int main(int argc, char **argv)
{
        struct options options = { .n_maps = 0 };
        int r = parse_options(argc, argv, &options);

        if (r != 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        if (options.n_maps > 0) {
                r = print_maps(&options);
        } else {
                struct mcp_server server = lake_mcp_server(&options.lake);

                r = mcp_stdio_run(&server, STDIN_FILENO, STDOUT_FILENO);
        }
        if (r < 0)
                fprintf(stderr, "frozen-lake: %s\n", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
