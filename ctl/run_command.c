#include "ctl/ctl.h"
#include "ctl/libexec.h"
#include "ctl/run.h"

#include <stdio.h>

static bool is_executable_in(const char *folder, size_t folder_size, const char *name)
{
        char path[PATH_MAX];
        int n = snprintf(path, sizeof(path), "%.*s/%s", (int) folder_size, folder_size ? folder : ".", name);

        return n > 0 && (size_t) n < sizeof(path) && access(path, X_OK) == 0;
}

bool run_command_exists(const char *name)
{
        char in_libexec[PATH_MAX];
        const char *folder = getenv("PATH") ?: "/usr/local/bin:/usr/bin:/bin";

        if (strchr(name, '/'))
                return access(name, X_OK) == 0;
        for (;;) {
                size_t size = strcspn(folder, ":");

                if (is_executable_in(folder, size, name))
                        return true;
                if (!folder[size])
                        break;
                folder += size + 1;
        }
        return libexec_find(name, in_libexec) >= 0;
}
