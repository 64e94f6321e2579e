#include "supervisor/former.h"

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/config_texts.h"
#include "supervisor/supervisor.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

static int make_path(const char *runtime, const char *name, char **ret)
{
        if (asprintf(ret, "%s/%s", runtime, name) >= 0)
                return 0;
        *ret = NULL;
        return -ENOMEM;
}

void former_keep(const struct supervisor_options *options, const struct config *config)
{
        _cleanup_free_ char *path = NULL;
        int r = make_path(options->runtime, "configuration", &path);

        if (r >= 0)
                r = config_texts_write(config->texts, path);
        if (r < 0)
                (void) log_warning_errno(r, "cannot keep the configuration for a supervisor that comes after a crash");
}

static int on_entry(_unused_ const struct dirent *entry, _unused_ void *userdata)
{
        return -EEXIST;
}

static bool has_entries(const char *runtime, const char *name)
{
        _cleanup_free_ char *path = NULL;

        return make_path(runtime, name, &path) >= 0 && fd_each_entry_at(AT_FDCWD, path, on_entry, NULL) == -EEXIST;
}

int former_load(const char *runtime, const char *path, struct config **ret, struct config_report *report)
{
        _cleanup_(config_texts_freep) struct config_texts *texts = NULL;
        _cleanup_free_ char *kept = NULL;
        size_t cursor = 0;
        const char *first;
        int r;

        if (!has_entries(runtime, "records") && !has_entries(runtime, "routers"))
                return -ENOENT;
        r = make_path(runtime, "configuration", &kept);
        if (r >= 0)
                r = config_texts_recall(kept, &texts);
        if (r < 0)
                return r;
        first = config_texts_next(texts, &cursor);
        return first && streq(first, path) ? config_load_texts(TAKE_PTR(texts), ret, report) : -ENOENT;
}

void former_remove(const struct supervisor_options *options)
{
        _cleanup_free_ char *path = NULL;

        if (make_path(options->runtime, "configuration", &path) >= 0 && unlink(path) < 0 && errno != ENOENT)
                (void) log_warning_errno(-errno, "cannot remove %s", path);
}
