#include "tests/unit/config-fixture.h"

#include "common/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

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

static char *describe(const struct config_report *report)
{
        char *text = NULL;
        size_t size;
        FILE *stream = open_memstream(&text, &size);

        assert_non_null(stream);
        for (size_t i = 0; i < report->n_notes; i++)
                fprintf(stream, "%s: %s%s\n", report->notes[i].json_path, report->notes[i].is_mistake ? "" : "note: ",
                        report->notes[i].text);
        fclose(stream);
        return text;
}

int fixture_load(struct fixture *f, const char *text)
{
        _cleanup_free_ char *path = NULL;

        forget(f);
        fixture_write(f, "envmux.json", text);
        assert_true(asprintf(&path, "%s/envmux.json", f->folder) > 0);

        int r = config_load(path, &f->config, &f->report);

        f->said = describe(&f->report);
        return r;
}
