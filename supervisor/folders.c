#include "supervisor/folders.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/former.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *const names[] = { "sockets", "records", "routers", "definitions" };

static int folder_make(const char *parent, const char *name, char **ret)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", parent, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        int r = fd_mkdir_parents(path, 0700);

        if (r < 0)
                return log_errno(r, "cannot make %s", path);
        *ret = TAKE_PTR(path);
        return 0;
}

/* Where we can start processes of other users: they pass through to what they may open, and list nothing. */
static mode_t passage_mode(void)
{
        return geteuid() == 0 ? 0711 : 0700;
}

static int folder_open(const char *parent, const char *name)
{
        _cleanup_free_ char *path = NULL;
        int r = folder_make(parent, name, &path);

        if (r < 0)
                return r;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? log_errno(-errno, "cannot open %s", path) : fd;
}

int folders_open(const struct supervisor_options *options, int *ret_sockets_fd, int *ret_records_fd)
{
        int r = fd_mkdir_parents(options->state, passage_mode());

        if (r < 0)
                return log_errno(r, "cannot make %s", options->state);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *path = NULL;

                r = folder_make(options->runtime, names[i], &path);
                if (r < 0)
                        return r;
        }
        _cleanup_fd_ int sockets_fd = folder_open(options->runtime, "sockets");
        _cleanup_fd_ int records_fd = folder_open(options->runtime, "records");

        if (sockets_fd < 0 || records_fd < 0)
                return sockets_fd < 0 ? sockets_fd : records_fd;
        if (fchmod(sockets_fd, passage_mode()) < 0)
                return log_errno(-errno, "cannot change the mode of %s/sockets", options->runtime);
        if (fchdir(sockets_fd) < 0)
                return log_errno(-errno, "cannot enter %s/sockets", options->runtime);
        *ret_sockets_fd = TAKE_FD(sockets_fd);
        *ret_records_fd = TAKE_FD(records_fd);
        return 0;
}

void folders_remove(const struct supervisor_options *options)
{
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/%s", options->runtime, names[i]) < 0) {
                        path = NULL;
                        return;
                }
                int r = fd_remove_tree_at(AT_FDCWD, path);

                if (r < 0)
                        (void) log_warning_errno(r, "cannot remove %s", path);
        }
        former_remove(options);
        if (unlink(options->control) < 0 && errno != ENOENT)
                (void) log_warning_errno(-errno, "cannot remove %s", options->control);
}
