#include "supervisor/config_sources.h"

#include "supervisor/config_file.h"
#include "supervisor/config_texts.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include <json-c/json.h>

/* Names that editors and package managers leave beside a file end otherwise or begin with a dot. */
static int is_drop_in(const struct dirent *entry)
{
        static const char suffix[] = ".json";
        size_t size = strlen(entry->d_name);

        return entry->d_name[0] != '.' && size >= sizeof(suffix) &&
               streq(entry->d_name + size - (sizeof(suffix) - 1), suffix);
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_source(struct config_texts *texts, const char *path, struct config_report *report,
                       struct config_source *source)
{
        struct config_at top = { .report = report };
        int r;

        source->path = strdup(path);
        if (!source->path)
                return -ENOMEM;
        report->file = source->path;
        r = config_file_read(texts, path, report, &source->root);
        if (r < 0)
                return r;
        r = config_texts_folder(texts, path, &source->folder);
        if (r < 0)
                config_report_mistake(&top, "its folder cannot be found: %s", strerror(-r));
        return r;
}

static int append(struct config_sources *sources, const char *path, struct config_report *report)
{
        struct config_source *bigger = reallocarray(sources->list, sources->n + 1, sizeof(*bigger));

        if (!bigger)
                return -ENOMEM;
        sources->list = bigger;
        sources->list[sources->n] = (struct config_source) {};
        return read_source(sources->texts, path, report, &sources->list[sources->n++]);
}

/* Opening what is no file may wait for ever, and nobody may be there to see it. */
static int append_drop_in(struct config_sources *sources, const char *folder, const char *name,
                          struct config_report *report)
{
        struct config_at top = { .report = report };
        _cleanup_free_ char *path = NULL;
        struct stat st;

        if (asprintf(&path, "%s/%s", folder, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
                return append(sources, path, report);
        report->file = path;
        config_report_mistake(&top, "is not a file");
        return -EINVAL;
}

static int append_drop_ins(struct config_sources *sources, const char *folder, struct config_report *report)
{
        struct config_at top = { .report = report };
        struct dirent **entries = NULL;
        int n = scandir(folder, &entries, is_drop_in, compare_names), result = 0;

        report->file = folder;
        if (n < 0) {
                int error = -errno;

                if (error == -ENOENT)
                        return 0;
                config_report_mistake(&top, "cannot be read: %s", strerror(-error));
                return error;
        }
        if (n > CONFIG_DROP_INS_MAX) {
                config_report_mistake(&top, "more than %d files", CONFIG_DROP_INS_MAX);
                result = -EINVAL;
        }
        for (int i = 0; i < n; i++) {
                int r = i < CONFIG_DROP_INS_MAX ? append_drop_in(sources, folder, entries[i]->d_name, report) : 0;

                result = result < 0 ? result : r;
                free(entries[i]);
        }
        free(entries);
        return result;
}

int config_sources_read(struct config_texts *texts, const char *path, const char *drop_ins,
                        struct config_report *report, struct config_sources *ret)
{
        *ret = (struct config_sources) { .texts = texts };

        int r = append(ret, path, report), r_drop_ins = drop_ins ? append_drop_ins(ret, drop_ins, report) : 0;

        report->file = path;
        return r < 0 ? r : r_drop_ins;
}

int config_sources_recall(struct config_texts *texts, struct config_report *report, struct config_sources *ret)
{
        size_t cursor = 0;
        int r = 0;

        *ret = (struct config_sources) { .texts = texts };
        for (const char *path; r >= 0 && (path = config_texts_next(texts, &cursor));)
                r = append(ret, path, report);
        return r >= 0 && ret->n == 0 ? -EBADMSG : r;
}

void config_sources_done(struct config_sources *sources)
{
        for (size_t i = 0; i < sources->n; i++) {
                json_object_put(sources->list[i].root);
                free(sources->list[i].folder);
                free(sources->list[i].path);
        }
        free(sources->list);
        *sources = (struct config_sources) {};
}
