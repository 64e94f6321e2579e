#include "tests/unit/config-fixture.h"

#include "common/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

void fixture_init(struct fixture *f)
{
        *f = (struct fixture) { .folder = "/tmp/envmux-test-XXXXXX" };
        assert_non_null(mkdtemp(f->folder));
}

static void forget(struct fixture *f)
{
        config_report_done(&f->report);
        f->config = config_free(f->config);
        free(f->said);
        f->said = NULL;
}

void fixture_done(struct fixture *f)
{
        forget(f);
        assert_int_equal(fd_remove_tree_at(AT_FDCWD, f->folder), 0);
}

void fixture_write(const struct fixture *f, const char *name, const char *text)
{
        _cleanup_free_ char *path = NULL;

        assert_true(asprintf(&path, "%s/%s", f->folder, name) > 0);
        assert_int_equal(fd_write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0600), 0);
}

void fixture_drop_in(struct fixture *f, const char *name, const char *text)
{
        _cleanup_free_ char *folder = NULL, *file = NULL;

        assert_true(asprintf(&folder, "%s/conf.d", f->folder) > 0);
        assert_true(asprintf(&file, "conf.d/%s", name) > 0);
        assert_true(mkdir(folder, 0700) == 0 || errno == EEXIST);
        fixture_write(f, file, text);
        f->has_drop_ins = true;
}

static char *describe(const struct config_report *report, bool with_files)
{
        char *text = NULL;
        size_t size;
        FILE *stream = open_memstream(&text, &size);

        assert_non_null(stream);
        for (size_t i = 0; i < report->n_notes; i++) {
                const struct config_note *note = &report->notes[i];

                fprintf(stream, "%s%s%s: %s%s\n", with_files ? strrchr(note->file, '/') + 1 : "", with_files ? ": " : "",
                        note->json_path, note->is_mistake ? "" : "note: ", note->text);
        }
        fclose(stream);
        return text;
}

int fixture_load(struct fixture *f, const char *text)
{
        _cleanup_free_ char *path = NULL, *drop_ins = NULL;

        forget(f);
        fixture_write(f, "envmux.json", text);
        assert_true(asprintf(&path, "%s/envmux.json", f->folder) > 0);

        assert_true(asprintf(&drop_ins, "%s/conf.d", f->folder) > 0);

        int r = config_load(path, f->has_drop_ins ? drop_ins : NULL, &f->config, &f->report);

        f->said = describe(&f->report, f->has_drop_ins);
        return r;
}
