#include "ctl/libexec.h"

#include <stdio.h>

static int try_path(char ret[static PATH_MAX], const char *dir, const char *between, const char *name)
{
        int n = snprintf(ret, PATH_MAX, "%s%s/%s", dir, between, name);

        if (n < 0 || n >= PATH_MAX)
                return -ENAMETOOLONG;
        return access(ret, X_OK) < 0 ? -errno : 0;
}

int libexec_find(const char *name, char ret[static PATH_MAX])
{
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash = NULL;

        if (n > 0) {
                self[n] = '\0';
                slash = strrchr(self, '/');
        }
        if (slash) {
                *slash = '\0';
                if (try_path(ret, self, "", name) == 0 || try_path(ret, self, "/../libexec/envmux", name) == 0)
                        return 0;
        }
        return try_path(ret, PKGLIBEXECDIR, "", name) == 0 ? 0 : -ENOENT;
}
