#include "supervisor/environment.h"

static const char *const private_names[] = {
        "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID",
        "LISTEN_FDNAMES", "FDSTORE", "MAINPID", "MANAGERPID", "INVOCATION_ID", "RUNTIME_DIRECTORY",
        "STATE_DIRECTORY", "SYSTEMD_EXEC_PID", NULL,
};

/* For programs of ours alone. */
static const char *const journal_names[] = { "JOURNAL_STREAM", "ENVMUX_JOURNAL", NULL };

static bool names_equal(const char *a, const char *b)
{
        size_t size = strcspn(a, "=");

        return strncmp(a, b, size) == 0 && (b[size] == '=' || b[size] == '\0');
}

static bool is_one_of(const char *entry, const char *const *names)
{
        for (; *names; names++)
                if (names_equal(entry, *names))
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

static char **make(char *const *extra, bool is_ours)
{
        char **all = calloc(count(environ) + count(extra) + 1, sizeof(*all));
        size_t n = 0;

        if (!all)
                return NULL;
        for (char **entry = environ; *entry; entry++)
                if (!is_one_of(*entry, private_names) && (is_ours || !is_one_of(*entry, journal_names)) &&
                    !environment_names(*entry, extra))
                        all[n++] = *entry;
        for (; extra && *extra; extra++)
                all[n++] = *extra;
        return all;
}

char **environment_make(char *const *extra)
{
        return make(extra, true);
}

char **environment_make_foreign(char *const *extra)
{
        return make(extra, false);
}

const char *environment_path(char *const *env)
{
        for (; env && *env; env++)
                if (strncmp(*env, "PATH=", strlen("PATH=")) == 0)
                        return *env + strlen("PATH=");
        return NULL;
}
