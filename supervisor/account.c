#include "supervisor/account.h"

#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define ENTRY_BYTES 16384
#define GROUPS_MAX 256
#define UID_NONE ((uid_t) -1)

void account_done(struct account *account)
{
        free(account->groups);
        free(account->name);
        free(account->home);
        *account = (struct account) { .uid = UID_NONE };
}

static bool is_number(const char *text)
{
        for (const char *p = text; *p; p++)
                if (!isdigit((unsigned char) *p))
                        return false;
        return *text;
}

static int parse_uid(const char *text, uid_t *ret)
{
        errno = 0;
        unsigned long value = strtoul(text, NULL, 10);

        /* -1 means "leave it as it is" to the kernel, also in 16 bits. */
        if (errno || value >= UID_NONE || value == UINT16_MAX)
                return -ENOENT;
        *ret = (uid_t) value;
        return 0;
}

/* Services often have "/" or a folder that is not there. */
static char *own_home(const struct passwd *entry)
{
        struct stat st;

        if (!entry->pw_dir || stat(entry->pw_dir, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != entry->pw_uid ||
            streq(entry->pw_dir, "/"))
                return NULL;
        return strdup(entry->pw_dir);
}

static int find_groups(const struct passwd *entry, struct account *account)
{
        int n = GROUPS_MAX;
        gid_t *groups = calloc(GROUPS_MAX, sizeof(*groups));

        if (!groups)
                return -ENOMEM;
        if (getgrouplist(entry->pw_name, entry->pw_gid, groups, &n) < 0) {
                free(groups);
                return -E2BIG;
        }
        account->groups = groups;
        account->n_groups = (size_t) n;
        return 0;
}

static int from_entry(const struct passwd *entry, struct account *ret)
{
        _cleanup_account_ struct account account = { .uid = entry->pw_uid, .gid = entry->pw_gid };
        int r = find_groups(entry, &account);

        if (r < 0)
                return r;
        account.name = strdup(entry->pw_name);
        account.home = own_home(entry);
        if (!account.name)
                return -ENOMEM;
        *ret = account;
        account = (struct account) { .uid = UID_NONE };
        return 0;
}

int account_of_uid(uid_t uid, struct account *ret)
{
        _cleanup_account_ struct account account = { .uid = uid, .gid = (gid_t) uid };

        account.groups = calloc(1, sizeof(*account.groups));
        if (asprintf(&account.name, "%u", (unsigned) uid) < 0)
                account.name = NULL;
        if (!account.groups || !account.name)
                return -ENOMEM;
        account.groups[0] = account.gid;
        account.n_groups = 1;
        *ret = account;
        account = (struct account) { .uid = UID_NONE };
        return 0;
}

int account_find(const char *text, struct account *ret)
{
        struct passwd entry, *found = NULL;
        _cleanup_free_ char *buf = malloc(ENTRY_BYTES);
        uid_t uid = UID_NONE;
        int error;

        if (!buf)
                return -ENOMEM;
        if (is_number(text)) {
                int r = parse_uid(text, &uid);

                if (r < 0)
                        return r;
                error = getpwuid_r(uid, &entry, buf, ENTRY_BYTES, &found);
        } else
                error = getpwnam_r(text, &entry, buf, ENTRY_BYTES, &found);
        if (found)
                return from_entry(found, ret);
        if (uid != UID_NONE)
                return account_of_uid(uid, ret);
        /* The manual has a list of errors that all say "not found". */
        return error == ENOMEM || error == EMFILE || error == ENFILE ? -error : -ENOENT;
}

static char *assignment(const char *name, const char *value)
{
        char *text;

        return asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text;
}

char **account_environment(const struct account *account, const char *other_home)
{
        char **environment = calloc(ACCOUNT_VARIABLES + 1, sizeof(*environment));

        if (!environment)
                return NULL;
        environment[0] = assignment("HOME", account->home ? account->home : other_home);
        environment[1] = environment[0] ? assignment("USER", account->name) : NULL;
        environment[2] = environment[1] ? assignment("LOGNAME", account->name) : NULL;
        return environment[2] ? environment : account_environment_free(environment);
}

char **account_environment_free(char **environment)
{
        for (char **entry = environment; entry && *entry; entry++)
                free(*entry);
        free(environment);
        return NULL;
}

int account_become(const struct account *account)
{
        if (geteuid() == 0 && setgroups(account->n_groups, account->groups) < 0)
                return -errno;
        if (setresgid(account->gid, account->gid, account->gid) < 0 ||
            setresuid(account->uid, account->uid, account->uid) < 0)
                return -errno;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return 0;
}
