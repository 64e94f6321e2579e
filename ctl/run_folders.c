#include "ctl/run.h"

#include "common/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>

#define RUNTIME_ADVICE "give --control PATH in a folder of yours"
#define STATE_ADVICE "name a folder of yours in XDG_STATE_HOME"

static int fail(int error, const char *what, const char *path, const char *advice)
{
        fprintf(stderr, "envmux run: cannot %s %s: %s%s%s\n", what, path, strerror(-error), advice ? "; " : "",
                advice ? advice : "");
        return error;
}

/* The folder of the default control path, or PATH.d, so that any control path is private to its run. */
static int choose_runtime(const char *control, struct run_folders *folders)
{
        const char *base = getenv("XDG_RUNTIME_DIR");
        int r;

        if (control) {
                _cleanup_free_ char *cwd = control[0] == '/' ? NULL : getcwd(NULL, 0);

                if (control[0] != '/' && !cwd)
                        return -errno;
                if (asprintf(&folders->control, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "", control) < 0)
                        return -ENOMEM;
                r = asprintf(&folders->runtime, "%s.d", folders->control);
        } else {
                if (asprintf(&folders->runtime, "%s/envmux", base && base[0] == '/' ? base : "/run") < 0)
                        return -ENOMEM;
                r = asprintf(&folders->control, "%s/control", folders->runtime);
        }
        if (r < 0)
                return -ENOMEM;
        if (strlen(folders->runtime) + strlen("/notify") >= sizeof(((struct sockaddr_un *) 0)->sun_path))
                return fail(-ENAMETOOLONG, "use", folders->control, "give a shorter --control path (below 98 bytes)");
        return 0;
}

/* Others must not be able to put sockets or records where we trust them. */
static int make_folder(const char *path, mode_t mode, const char *advice)
{
        struct stat st;
        int r = fd_mkdir_parents(path, mode);

        if (r < 0)
                return fail(r, "make the folder", path, r == -EACCES || r == -EROFS ? advice : NULL);
        if (lstat(path, &st) < 0)
                return fail(-errno, "look at", path, NULL);
        if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
                return fail(-EPERM, "use", path, "it must be a folder that only you may write to");
        return 0;
}

static int make_private(const char *path, const char *advice)
{
        return make_folder(path, 0700, advice);
}

/* Backends that root starts as other users must get through to their workspaces. */
static int make_state(const char *path)
{
        return make_folder(path, geteuid() == 0 ? 0711 : 0700, STATE_ADVICE);
}

static int choose_state_base(char **ret)
{
        const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
        int r;

        if (xdg && xdg[0] == '/')
                r = asprintf(ret, "%s/envmux", xdg);
        else if (geteuid() == 0)
                r = asprintf(ret, "/var/lib/envmux");
        else if (home && home[0] == '/')
                r = asprintf(ret, "%s/.local/state/envmux", home);
        else {
                /* Anybody may make folders there: it counts only when it is ours alone. */
                if (asprintf(ret, "/tmp/envmux-%u", (unsigned) geteuid()) < 0)
                        return -ENOMEM;
                return make_private(*ret, STATE_ADVICE);
        }
        return r < 0 ? -ENOMEM : 0;
}

/* One folder per control path, so that a run finds what a killed predecessor left and its
 * supervisor clears it away. */
static int choose_state(struct run_folders *folders)
{
        _cleanup_free_ char *base = NULL, *name = strdup(folders->runtime + 1);
        int r = choose_state_base(&base);

        if (r < 0)
                return r;
        if (!name)
                return -ENOMEM;
        for (char *p = name; *p; p++)
                if (*p == '/')
                        *p = '-';
        if (asprintf(&folders->state, "%s/%s", base, name) < 0)
                return -ENOMEM;
        return 0;
}

static int say_busy(int fd, const char *runtime)
{
        char pid[16] = "";

        if (pread(fd, pid, sizeof(pid) - 1, 0) < 0)
                pid[0] = '\0';
        fprintf(stderr,
                "envmux run: another run (pid %s) uses %s; stop it, or give this one a --control PATH of its own\n",
                pid[0] ? pid : "unknown", runtime);
        return -EBUSY;
}

/* The holder removes the file when it ends, so a lock counts only on the file that has the name. */
static int take_lock(struct run_folders *folders)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/lock", folders->runtime) < 0)
                return -ENOMEM;
        for (;;) {
                _cleanup_fd_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                struct stat named, ours;

                if (fd < 0)
                        return fail(-errno, "open", path, NULL);
                if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                        return errno == EWOULDBLOCK ? say_busy(fd, folders->runtime) : fail(-errno, "lock", path, NULL);
                if (fstat(fd, &ours) < 0)
                        return fail(-errno, "look at", path, NULL);
                if (stat(path, &named) < 0 || named.st_ino != ours.st_ino) {
                        int r = make_private(folders->runtime, RUNTIME_ADVICE);

                        if (r < 0)
                                return r;
                        continue;
                }
                if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d", (int) getpid()) < 0)
                        return fail(-errno, "write", path, NULL);
                folders->lock_fd = TAKE_FD(fd);
                return 0;
        }
}

int run_folders_make(const char *control, struct run_folders *ret)
{
        struct run_folders folders = RUN_FOLDERS_EMPTY;
        int r = choose_runtime(control, &folders);

        if (r >= 0)
                r = choose_state(&folders);
        if (r >= 0)
                r = make_private(folders.runtime, RUNTIME_ADVICE);
        if (r >= 0)
                r = take_lock(&folders);
        if (r >= 0)
                r = make_state(folders.state);
        if (r < 0 && folders.lock_fd >= 0)
                run_folders_give_up(&folders);
        if (r < 0) {
                run_folders_done(&folders);
                return r;
        }
        *ret = folders;
        return 0;
}

void run_folders_remove(struct run_folders *folders)
{
        (void) unlink(folders->control);
        (void) fd_remove_tree_at(AT_FDCWD, folders->state);
        (void) fd_remove_tree_at(AT_FDCWD, folders->runtime);
}

void run_folders_give_up(struct run_folders *folders)
{
        _cleanup_free_ char *lock = NULL;

        if (asprintf(&lock, "%s/lock", folders->runtime) < 0) {
                lock = NULL;
                return;
        }
        (void) rmdir(folders->state);
        (void) unlink(lock);
        (void) rmdir(folders->runtime);
}

void run_folders_done(struct run_folders *folders)
{
        free(folders->control);
        free(folders->runtime);
        free(folders->state);
        fd_close(folders->lock_fd);
        *folders = (struct run_folders) RUN_FOLDERS_EMPTY;
}
