#include "supervisor/users.h"

#include "common/log.h"
#include "supervisor/supervisor.h"

#include <sys/random.h>

struct users {
        struct supervisor *supervisor;
        struct account backend, router;
        bool has_backend, has_router;
        uint32_t next;  /* where the search for a free number goes on, below the range's first: it has not begun */
};

/* ---- numbers of their own --------------------------------------------------------------------- */

static bool is_taken(const struct users *users, uint32_t uid, const struct record *for_record)
{
        const struct session_table *table = users->supervisor->sessions;

        for (const struct session *s = session_next(table, NULL); s; s = session_next(table, s))
                if (&s->record != for_record && s->record.has_uid && s->record.uid == uid)
                        return true;
        return false;
}

/* The first of the range is that of prepare commands. Files that a session left in a folder for all belong to the
 * next one with its number: so that this takes long, the search begins anywhere and goes round. */
static int pick(struct users *users, const struct record *record, uint32_t *ret)
{
        struct config_range range = users->supervisor->config->dynamic_users;
        uint32_t first = range.first + 1, n = range.last - range.first, random = 0;

        if (users->next < first || users->next > range.last) {
                (void) !getrandom(&random, sizeof(random), 0);
                users->next = first + random % n;
        }
        for (uint32_t i = 0; i < n; i++) {
                uint32_t uid = users->next;

                users->next = uid == range.last ? first : uid + 1;
                if (!is_taken(users, uid, record)) {
                        *ret = uid;
                        return 0;
                }
        }
        return -EUSERS;
}

static int assign_dynamic(struct users *users, struct record *record, struct account *ret)
{
        bool keeps = record->has_uid && record->is_uid_dynamic && !is_taken(users, record->uid, record);
        uint32_t uid = record->uid;
        int r = keeps ? 0 : pick(users, record, &uid);

        if (r >= 0)
                r = account_of_uid(uid, ret);
        record->is_uid_dynamic = r >= 0;
        return r;
}

/* ---- who ---------------------------------------------------------------------------------------- */

/* What the configuration says, else the command line. 0: nothing does. */
static int find_fixed(const struct users *users, const struct server_config *server, struct account *ret)
{
        if (server->user)
                return account_find(server->user, ret) < 0 ? -ENOENT : 1;
        if (!users->has_backend)
                return 0;
        int r = account_find(users->backend.name, ret);

        return r < 0 ? r : 1;
}

static bool is_dynamic(const struct server_config *server)
{
        return server->user && streq(server->user, USER_DYNAMIC);
}

int users_assign(struct users *users, const struct server_config *server, struct record *record, struct account *ret)
{
        struct account account;
        int r;

        if (is_dynamic(server)) {
                r = assign_dynamic(users, record, &account);
                if (r < 0)
                        return r;
        } else {
                record->is_uid_dynamic = false;
                r = find_fixed(users, server, &account);
                record->has_uid = false;
                if (r <= 0)
                        return r;
        }
        char *name = strdup(account.name);

        if (!name) {
                account_done(&account);
                return -ENOMEM;
        }
        free(record->user);
        record->user = name;
        record->uid = account.uid;
        record->has_uid = true;
        *ret = account;
        return 1;
}

int users_of_prepare(const struct users *users, const struct server_config *server, struct account *ret)
{
        if (!is_dynamic(server))
                return find_fixed(users, server, ret);
        int r = account_of_uid(users->supervisor->config->dynamic_users.first, ret);

        return r < 0 ? r : 1;
}

const struct account *users_router(const struct users *users)
{
        return users->has_router ? &users->router : NULL;
}

void users_warn(const struct users *users)
{
        const struct config *config = users->supervisor->config;

        if (geteuid() != 0 || users->has_backend)
                return;
        for (size_t i = 0; i < config->n_servers; i++)
                if (!config->servers[i]->user)
                        log_warning("backends of server %s run as root: name another \"user\" in its \"envmux\", or "
                                    "\"root\" if that is meant", config->servers[i]->name);
}

/* ---- the module ------------------------------------------------------------------------------- */

static int look_up(const char *option, const char *name, struct account *account, bool *ret_has)
{
        if (!name)
                return 0;
        int r = account_find(name, account);

        if (r < 0)
                return log_errno(r, "%s %s: %s", option, name,
                                 r == -ENOENT ? "there is no such user on this machine" : "cannot look it up");
        *ret_has = true;
        if (geteuid() == 0 || account->uid == geteuid())
                return 0;
        log_error("%s %s: only root can start processes of another user", option, name);
        return -EPERM;
}

int users_new(struct supervisor *supervisor, struct users **ret)
{
        _cleanup_(users_freep) struct users *users = calloc(1, sizeof(*users));
        const struct supervisor_options *options = &supervisor->options;

        if (!users)
                return -ENOMEM;
        users->supervisor = supervisor;
        int r = look_up("--backend-user", options->backend_user, &users->backend, &users->has_backend);

        if (r >= 0)
                r = look_up("--router-user", options->router_user, &users->router, &users->has_router);
        if (r < 0)
                return r;
        users_warn(users);
        *ret = TAKE_PTR(users);
        return 0;
}

struct users *users_free(struct users *users)
{
        if (!users)
                return NULL;
        account_done(&users->backend);
        account_done(&users->router);
        free(users);
        return NULL;
}
