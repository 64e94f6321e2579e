/* A user of this machine that something is started as. */
#pragma once

#include "common/macro.h"

#include <sys/types.h>

struct account {
        uid_t uid;
        gid_t gid;
        gid_t *groups;   /* all it is in, gid included */
        size_t n_groups;
        char *name;      /* its login name, else its number */
        char *home;      /* a folder of its own, or NULL */
};

/* Looks up a name, or a number that needs no entry in the user database (its group has the same number then, and it
 * is in no other). -ENOENT: no such user. *ret is the caller's, for account_done. */
int account_find(const char *text, struct account *ret);

/* One that is in no database. */
int account_of_uid(uid_t uid, struct account *ret);

void account_done(struct account *account);
#define _cleanup_account_ _cleanup_(account_done)

#define ACCOUNT_VARIABLES 3

/* HOME, USER and LOGNAME as "NAME=VALUE", NULL-terminated; HOME is other_home where it has none of its own. The
 * caller's, for account_environment_free; NULL: no memory. */
char **account_environment(const struct account *account, const char *other_home);
char **account_environment_free(char **environment);

static inline void account_environment_freep(char ***environment)
{
        account_environment_free(*environment);
}

/* Becomes that user, with no other rights and no way to gain any. Async-signal-safe. */
int account_become(const struct account *account);
