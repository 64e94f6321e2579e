#include "supervisor/tracking_internal.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

/* ---- controllers ------------------------------------------------------------------------------ */

static unsigned read_mask(int root_fd, const char *path, const char *file)
{
        _cleanup_free_ char *text = NULL;

        return cgroup_read(root_fd, path, file, &text) < 0 ? 0 : limit_controllers_parse(text);
}

/* Gives what wanted names and the group has itself to its children; each by itself, since one that cannot be had
 * (EBUSY: the group has processes of its own) must not keep the others back. Returns what they have then. */
static unsigned enable(int root_fd, const char *path, unsigned wanted)
{
        unsigned has = read_mask(root_fd, path, "cgroup.subtree_control");
        unsigned missing = wanted & ~has;

        if (missing)
                missing &= read_mask(root_fd, path, "cgroup.controllers");
        for (unsigned bit = 1; bit & CONTROLLER__ALL; bit <<= 1) {
                char text[16];

                if (!(missing & bit))
                        continue;
                snprintf(text, sizeof(text), "+%s", limit_controller_name(bit));
                if (cgroup_write(root_fd, path, "cgroup.subtree_control", text) >= 0)
                        has |= bit;
        }
        return has & wanted;
}

/* Only the top of the whole tree may hold processes and give controllers. In any other group that holds some, cpu and
 * pids could be enabled, but then nothing below it could hold processes ("domain invalid"). */
static bool may_give(int root_fd, const char *path)
{
        _cleanup_free_ char *type = NULL, *processes = NULL;

        if (cgroup_read(root_fd, path, "cgroup.type", &type) == -ENOENT)
                return true;
        return cgroup_read(root_fd, path, "cgroup.procs", &processes) >= 0 && !*processes;
}

void tracking_controllers_open(struct tracking *t, bool is_root_chosen)
{
        /* Above what we made ourselves is our own cgroup. */
        if (is_root_chosen && may_give(t->root_fd, ".."))
                (void) enable(t->root_fd, "..", CONTROLLER__ALL);
        if (may_give(t->root_fd, "."))
                t->controllers = enable(t->root_fd, ".", CONTROLLER__ALL);
}

int tracking_controllers_pass_on(struct tracking *t, const char *session_path)
{
        char path[4096];
        int r = t->controllers ? STR_COPY(path, session_path) : 0;

        for (char *end = path; r >= 0 && t->controllers; end++) {
                end = strchrnul(end, '/');
                char separator = *end;

                *end = '\0';
                if (enable(t->root_fd, path, t->controllers) != t->controllers)
                        r = log_errno(-EOPNOTSUPP, "cannot enable the controllers below %s/%s", t->root_path, path);
                if (!separator)
                        break;
                *end = separator;
        }
        return r;
}

bool tracking_enforces(const struct tracking *t, enum limit_kind kind)
{
        return t->controllers & limit_controller(kind);
}

/* ---- limits ------------------------------------------------------------------------------------ */

static int write_limit(struct tracking *t, const char *path, enum limit_kind kind, const struct limit *limit)
{
        struct limit_file files[LIMIT_FILES_MAX];
        size_t n = limit_files(kind, limit, files);
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                r = cgroup_write(t->root_fd, path, files[i].name, files[i].value);
                /* cpu.idle came with Linux 5.15: without it nothing is idle. */
                if (r == -ENOENT && streq(files[i].name, "cpu.idle") && streq(files[i].value, "0"))
                        r = 0;
                if (r < 0)
                        log_errno(r, "%s/%s/%s: cannot write \"%s\"", t->root_path, path, files[i].name, files[i].value);
        }
        return r;
}

/* Those that are set and can be enforced; with is_reset also the kernel's own in place of what is not set. */
static int write_limits(struct tracking *t, const char *path, const struct limits *limits, bool is_reset)
{
        unsigned set = limits_set(limits);
        int r = 0;

        for (unsigned kind = 0; kind < LIMIT__MAX; kind++) {
                if (!tracking_enforces(t, (enum limit_kind) kind) || (!is_reset && !(set & 1u << kind)))
                        continue;
                int r2 = write_limit(t, path, (enum limit_kind) kind, &limits->of[kind]);

                r = r < 0 ? r : r2;
        }
        return r;
}

int tracking_limit_group(struct tracking *t, const char *server, const char *principal, const struct limits *limits,
                         bool is_reset)
{
        char server_name[IPC_SERVER_SIZE * 3], principal_name[IPC_PRINCIPAL_SIZE * 3] = "", path[4096];
        int r = t->controllers ? cgroup_name_escape(server, server_name, sizeof(server_name)) : 0;

        if (!t->controllers)
                return 0;
        if (r >= 0 && principal)
                r = cgroup_name_escape(principal, principal_name, sizeof(principal_name));
        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "%s%s%s", server_name, principal ? "/" : "", principal_name);
        return write_limits(t, path, limits, is_reset);
}

/* One level of the walk ROOT → server → principal. */
struct group_walk {
        struct tracking *tracking;
        char server_folder[NAME_MAX + 1], server[IPC_SERVER_SIZE];
        int (*found)(const char *server, const char *principal, void *userdata);
        void *userdata;
};

static int on_principal_folder(const char *name, void *userdata)
{
        const struct group_walk *walk = userdata;
        char principal[IPC_PRINCIPAL_SIZE];

        if (cgroup_name_unescape(name, principal, sizeof(principal)) < 0)
                return 0;
        return walk->found(walk->server, principal, walk->userdata);
}

static int on_server_folder(const char *name, void *userdata)
{
        struct group_walk *walk = userdata;

        if (cgroup_name_unescape(name, walk->server, sizeof(walk->server)) < 0 ||
            STR_COPY(walk->server_folder, name) < 0)
                return 0;
        int r = walk->found(walk->server, NULL, walk->userdata);

        return r < 0 ? r : cgroup_each_child(walk->tracking->root_fd, walk->server_folder, on_principal_folder, walk);
}

int tracking_each_group(struct tracking *t, int (*found)(const char *server, const char *principal, void *userdata),
                        void *userdata)
{
        struct group_walk walk = { .tracking = t, .found = found, .userdata = userdata };

        return t->controllers ? cgroup_each_child(t->root_fd, ".", on_server_folder, &walk) : 0;
}

#define LEAF_SIZE 4096

static int backend_leaf(const struct tracked *tracked, char ret[static LEAF_SIZE])
{
        return (size_t) snprintf(ret, LEAF_SIZE, "%s/backend", tracked->path) >= LEAF_SIZE ? -ENAMETOOLONG : 0;
}

int tracked_read_usage(const struct tracked *tracked, struct usage *ret)
{
        char leaf[LEAF_SIZE];
        int r = tracked->path ? backend_leaf(tracked, leaf) : -EOPNOTSUPP;

        return r < 0 ? r : usage_read(tracked->tracking->root_fd, leaf, ret);
}

int tracked_open_backend_folder(const struct tracked *tracked)
{
        const struct tracking *t = tracked->tracking;
        char leaf[LEAF_SIZE];

        if (!(t->controllers & CONTROLLER_MEMORY) || backend_leaf(tracked, leaf) < 0)
                return -1;
        return openat(t->root_fd, leaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int tracked_limit(struct tracked *tracked, const struct limits *limits)
{
        struct tracking *t = tracked->tracking;
        struct limits backend = *limits;
        char leaf[LEAF_SIZE];

        if (!t->controllers)
                return 0;
        int r = backend_leaf(tracked, leaf);

        if (r < 0)
                return r;
        /* A weight counts among siblings, and those of the leaf are not the other sessions. */
        struct limits session = { .of[LIMIT_CPU_WEIGHT] = limits->of[LIMIT_CPU_WEIGHT] };

        backend.of[LIMIT_CPU_WEIGHT] = (struct limit) { .form = LIMIT_UNSET };
        r = write_limits(t, tracked->path, &session, false);
        if (r >= 0)
                r = write_limits(t, leaf, &backend, false);
        /* Whichever limit is hit: a backend ends as a whole. */
        if (r >= 0 && t->controllers & CONTROLLER_MEMORY)
                r = cgroup_write(t->root_fd, leaf, "memory.oom.group", "1");
        return r;
}
