#include "supervisor/environment.h"

static const char *const private_names[] = {
        "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID",
        "LISTEN_FDNAMES", "FDSTORE", "MAINPID", "MANAGERPID", "INVOCATION_ID", "RUNTIME_DIRECTORY",
        "STATE_DIRECTORY", "SYSTEMD_EXEC_PID",
};

static bool names_equal(const char *a, const char *b)
{
        size_t size = strcspn(a, "=");

        return strncmp(a, b, size) == 0 && (b[size] == '=' || b[size] == '\0');
}

static bool is_private(const char *entry)
{
        for (size_t i = 0; i < ELEMENTSOF(private_names); i++)
                if (names_equal(entry, private_names[i]))
                        return true;
        return false;
}

bool environment_names(const char *entry, char *const *entries)
{
        for (; entries && *entries; entries++)
                if (names_equal(entry, *entries))
                        return true;
        return false;
}

static size_t count(char *const *entries)
{
        size_t n = 0;

        while (entries && entries[n])
                n++;
        return n;
}

char **environment_make(char *const *extra)
{
        char **all = calloc(count(environ) + count(extra) + 1, sizeof(*all));
        size_t n = 0;

        if (!all)
                return NULL;
        for (char **entry = environ; *entry; entry++)
                if (!is_private(*entry) && !environment_names(*entry, extra))
                        all[n++] = *entry;
        for (; extra && *extra; extra++)
                all[n++] = *extra;
        return all;
}

const char *environment_path(char *const *env)
{
        for (; env && *env; env++)
                if (strncmp(*env, "PATH=", strlen("PATH=")) == 0)
                        return *env + strlen("PATH=");
        return NULL;
}
