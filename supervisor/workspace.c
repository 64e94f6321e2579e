#include "supervisor/workspace.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/account.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct workspaces {
        char *root;      /* STATE/workspaces, absolute */
        int root_fd;
        int trash_fd;    /* STATE/trash */
        pid_t remover;   /* 0: none at work */
        bool is_dirty;   /* something was trashed since the remover started */
};

void workspace_paths_done(struct workspace_paths *paths)
{
        free(paths->work);
        free(paths->tmp);
        free(paths->config_file);
        *paths = (struct workspace_paths) { 0 };
}

static int open_folder(const char *parent, const char *name, char **ret_path)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", parent, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        int r = fd_mkdir_parents(path, 0700);

        if (r < 0)
                return r;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (ret_path)
                *ret_path = TAKE_PTR(path);
        return fd;
}

int workspaces_new(_unused_ struct event_base *base, const char *state_dir, struct workspaces **ret)
{
        _cleanup_(workspaces_freep) struct workspaces *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        w->trash_fd = -1;
        w->root_fd = open_folder(state_dir, "workspaces", &w->root);
        if (w->root_fd < 0)
                return w->root_fd;
        if (geteuid() == 0 && fchmod(w->root_fd, 0711) < 0)
                return -errno;
        w->trash_fd = open_folder(state_dir, "trash", NULL);
        if (w->trash_fd < 0)
                return w->trash_fd;
        *ret = TAKE_PTR(w);
        return 0;
}

struct workspaces *workspaces_free(struct workspaces *w)
{
        if (!w)
                return NULL;
        fd_close(w->root_fd);
        fd_close(w->trash_fd);
        free(w->root);
        free(w);
        return NULL;
}

static int on_trash(const struct dirent *entry, void *userdata)
{
        (void) fd_remove_tree_at(*(const int *) userdata, entry->d_name);
        return 0;
}

/* Deletes what can be deleted; what is left stays in the trash for the next pass. */
static int trash_empty(int trash_fd)
{
        return fd_each_entry_at(trash_fd, ".", on_trash, &trash_fd);
}

/* The child holds nothing else of ours: workers and routers notice the death of a supervisor by the end of
 * their connections, which its remover may outlive. */
static _noreturn_ void remover_run(int trash_fd)
{
        if (dup2(trash_fd, STDERR_FILENO + 1) < 0 || close_range(STDERR_FILENO + 2, ~0U, 0) < 0)
                _exit(1);
        _exit(trash_empty(STDERR_FILENO + 1) < 0 ? 1 : 0);
}

static void remover_start(struct workspaces *w)
{
        if (w->remover > 0) {
                w->is_dirty = true;
                return;
        }
        w->is_dirty = false;
        /* The child must not run our signal handlers: they write to a pipe that it shares with us. */
        sigset_t all, before;

        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &before);
        pid_t pid = fork();

        if (pid == 0)
                remover_run(w->trash_fd);
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (pid > 0)
                w->remover = pid;
        else
                w->is_dirty = true; /* the next discard tries again */
}

pid_t workspaces_remover_pid(const struct workspaces *w)
{
        return w->remover;
}

void workspaces_on_child_exit(struct workspaces *w, pid_t pid)
{
        if (pid <= 0 || pid != w->remover)
                return;
        w->remover = 0;
        if (w->is_dirty)
                remover_start(w);
}

int workspaces_flush(struct workspaces *w)
{
        if (w->remover > 0) {
                (void) waitpid(w->remover, NULL, 0);
                w->remover = 0;
        }
        return trash_empty(w->trash_fd);
}

int workspace_find(struct workspaces *w, const char *id, struct workspace_paths *ret)
{
        struct workspace_paths paths = { 0 };
        char config[512];

        if (asprintf(&paths.work, "%s/%s/work", w->root, id) < 0)
                paths.work = NULL;
        if (asprintf(&paths.tmp, "%s/%s/tmp", w->root, id) < 0)
                paths.tmp = NULL;
        (void) snprintf(config, sizeof(config), "%s/config.json", id);
        bool has_config = faccessat(w->root_fd, config, F_OK, 0) == 0;

        if (has_config && asprintf(&paths.config_file, "%s/%s", w->root, config) < 0)
                paths.config_file = NULL;
        if (!paths.work || !paths.tmp || (has_config && !paths.config_file)) {
                workspace_paths_done(&paths);
                return -ENOMEM;
        }
        *ret = paths;
        return 0;
}

/* The folder itself last: until then nobody else gets in. */
static int give_away(int fd, bool has_config, const struct account *owner)
{
        const char *const names[] = { "work", "tmp", has_config ? "config.json" : NULL };

        for (size_t i = 0; i < ELEMENTSOF(names) && names[i]; i++)
                if (fchownat(fd, names[i], owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
        return fchown(fd, owner->uid, owner->gid) < 0 ? -errno : 0;
}

static int workspace_fill(struct workspaces *w, const char *id, const char *config, const struct account *owner)
{
        if (mkdirat(w->root_fd, id, 0700) < 0)
                return -errno;
        _cleanup_fd_ int fd = openat(w->root_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        if (mkdirat(fd, "work", 0700) < 0 || mkdirat(fd, "tmp", 0700) < 0)
                return -errno;
        int r = config ? fd_write_file_atomic_at(fd, "config.json", config, strlen(config), 0600) : 0;

        return r >= 0 && owner ? give_away(fd, config, owner) : r;
}

int workspace_make(struct workspaces *w, const char *id, const char *config, const struct account *owner,
                   struct workspace_paths *ret)
{
        int r = workspace_discard(w, id);

        if (r >= 0)
                r = workspace_fill(w, id, config, owner);
        if (r < 0) {
                (void) workspace_discard(w, id);
                return r;
        }
        return workspace_find(w, id, ret);
}

int workspace_discard(struct workspaces *w, const char *id)
{
        char name[128];
        uint32_t random[2] = { 0 };

        (void) !getrandom(random, sizeof(random), 0);
        (void) snprintf(name, sizeof(name), "%s-%08x%08x", id, random[0], random[1]);
        int r = renameat(w->root_fd, id, w->trash_fd, name);

        /* A folder without write permission cannot get another parent, and the backend may have taken it. */
        if (r < 0 && errno == EACCES && fchmodat(w->root_fd, id, 0700, 0) == 0)
                r = renameat(w->root_fd, id, w->trash_fd, name);
        if (r < 0)
                return errno == ENOENT ? 0 : -errno;
        remover_start(w);
        return 0;
}

struct unknown_walk {
        struct workspaces *workspaces;
        bool (*is_known)(const char *id, void *userdata);
        void *userdata;
        int error; /* the last one; the walk goes on */
};

static int on_workspace(const struct dirent *entry, void *userdata)
{
        struct unknown_walk *walk = userdata;
        int r = walk->is_known(entry->d_name, walk->userdata) ? 0 : workspace_discard(walk->workspaces, entry->d_name);

        if (r < 0)
                walk->error = r;
        return 0;
}

int workspaces_discard_unknown(struct workspaces *w, bool (*is_known)(const char *id, void *userdata), void *userdata)
{
        struct unknown_walk walk = { .workspaces = w, .is_known = is_known, .userdata = userdata };
        int r = fd_each_entry_at(w->root_fd, ".", on_workspace, &walk);

        remover_start(w); /* what an earlier supervisor left in the trash */
        return r < 0 ? r : walk.error;
}
