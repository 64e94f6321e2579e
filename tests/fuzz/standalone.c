/* Runs a fuzz target over a corpus without a fuzzer: every file of $srcdir/tests/fuzz/corpus/NAME for
 * the program fuzz-NAME, or the files given as arguments. Each input is placed so that it ends where
 * its allocation ends: a sanitizer build notices reads beyond it. */
#include "common/fd.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define INPUT_BYTES_MAX (16 * 1024 * 1024)

static int run_file(int dir_fd, const char *path)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = fd_read_file_at(dir_fd, path, INPUT_BYTES_MAX, &text, &size);

        if (r < 0) {
                fprintf(stderr, "%s: %s\n", path, strerror(-r));
                return r;
        }
        _cleanup_free_ uint8_t *exact = malloc(size ? size : 1);

        if (!exact)
                return -ENOMEM;
        memcpy(exact, text, size);
        return LLVMFuzzerTestOneInput(exact, size);
}

static int run_folder(const char *path)
{
        DIR *dir = opendir(path);
        struct dirent *entry;
        unsigned n = 0;
        int r = 0;

        if (!dir) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                return -errno;
        }
        while (r >= 0 && (entry = readdir(dir))) {
                if (entry->d_name[0] == '.')
                        continue;
                r = run_file(dirfd(dir), entry->d_name);
                n++;
        }
        closedir(dir);
        printf("%s: %u inputs\n", path, n);
        return r < 0 ? r : n > 0 ? 0 : -ENOENT;
}

int main(int argc, char **argv)
{
        _cleanup_free_ char *folder = NULL;
        const char *source = getenv("srcdir"), *name = strstr(program_invocation_short_name, "fuzz-");

        for (int i = 1; i < argc; i++)
                if (run_file(AT_FDCWD, argv[i]) < 0)
                        return EXIT_FAILURE;
        if (argc > 1)
                return EXIT_SUCCESS;
        if (!name || asprintf(&folder, "%s/tests/fuzz/corpus/%s", source ? source : ".", name + strlen("fuzz-")) < 0) {
                folder = NULL;
                return EXIT_FAILURE;
        }
        return run_folder(folder) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
