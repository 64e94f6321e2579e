/* Which user backends and routers run as. */
#pragma once

#include "supervisor/account.h"
#include "supervisor/config.h"
#include "supervisor/record.h"

struct supervisor;
struct users;

/* What the key "user" says beside names. */
#define USER_DYNAMIC "dynamic"
#define USER_ROOT "root"

/* Looks up --backend-user and --router-user; logs what is wrong with them. */
int users_new(struct supervisor *supervisor, struct users **ret);
struct users *users_free(struct users *users);
DEFINE_CLEANUP(struct users, users_free)

/* Who the backend of this session is to be; the record then says so, too. A number of its own ("dynamic") is one
 * that no other session in the table has, the record's where it has one. 1: *ret is filled in and the caller's,
 * 0: it runs as we do. -ENOENT: that user is gone. -EUSERS: all numbers are taken. */
int users_assign(struct users *users, const struct server_config *server, struct record *record, struct account *ret);

/* Who the prepare command of a server is; as above. All that would be "dynamic" share a number that no session gets. */
int users_of_prepare(const struct users *users, const struct server_config *server, struct account *ret);

/* Who routers are; NULL: the same as we. */
const struct account *users_router(const struct users *users);

/* Says once in the log which servers' backends would have our rights, where these are root's. */
void users_warn(const struct users *users);
