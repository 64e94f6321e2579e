#include "supervisor/config_report.h"

#include <stdarg.h>
#include <stdio.h>

#define DEPTH_MAX 16
#define WORD_MAX 40 /* no key of ours is longer */

/* Writes one step of a path. */
static void write_step(FILE *f, const struct config_at *at, bool is_first)
{
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$";

        if (!at->name)
                fprintf(f, "[%zu]", at->index);
        else if (at->is_position)
                fputs(at->name, f);
        else if (*at->name && at->name[strspn(at->name, plain)] == '\0')
                fprintf(f, "%s%s", is_first ? "" : ".", at->name);
        else
                fprintf(f, "[\"%s\"]", at->name);
}

int config_report_path(const struct config_at *at, char **ret)
{
        const struct config_at *steps[DEPTH_MAX];
        size_t n = 0;
        char *path = NULL;
        size_t size;

        for (; at->up && n < DEPTH_MAX; at = at->up)
                steps[n++] = at;

        FILE *f = open_memstream(&path, &size);

        if (!f)
                return -ENOMEM;
        for (size_t i = n; i > 0; i--)
                write_step(f, steps[i - 1], i == n);
        if (fclose(f) != 0) {
                free(path);
                return -ENOMEM;
        }
        *ret = path;
        return 0;
}

static int _printf_(3, 0) add(const struct config_at *at, bool is_mistake, const char *format, va_list ap)
{
        struct config_report *report = at->report;
        _cleanup_free_ char *path = NULL, *file = strdup(report->file ? report->file : "");
        char *text = NULL;
        int r = config_report_path(at, &path);

        if (r < 0)
                return r;
        if (!file)
                return -ENOMEM;

        struct config_note *bigger = reallocarray(report->notes, report->n_notes + 1, sizeof(*bigger));

        if (!bigger)
                return -ENOMEM;
        report->notes = bigger;
        if (vasprintf(&text, format, ap) < 0)
                return -ENOMEM;
        report->notes[report->n_notes++] = (struct config_note) {
                .is_mistake = is_mistake,
                .file = TAKE_PTR(file),
                .json_path = TAKE_PTR(path),
                .text = text,
        };
        return 0;
}

void config_report_mistake(const struct config_at *at, const char *format, ...)
{
        va_list ap;

        at->report->n_mistakes++;
        va_start(ap, format);
        (void) add(at, true, format, ap);
        va_end(ap);
}

void config_report_note(const struct config_at *at, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        (void) add(at, false, format, ap);
        va_end(ap);
}

void config_report_done(struct config_report *report)
{
        for (size_t i = 0; i < report->n_notes; i++) {
                free(report->notes[i].file);
                free(report->notes[i].json_path);
                free(report->notes[i].text);
        }
        free(report->notes);
        *report = (struct config_report) {};
}

static char fold(char c)
{
        if (c >= 'A' && c <= 'Z')
                return (char) (c - 'A' + 'a');
        return c == '-' ? '_' : c;
}

/* Edits (insert, delete, replace, swap neighbours) that turn a into b, letter case and -/_ ignored. */
static size_t edit_distance(const char *a, const char *b)
{
        size_t n = strlen(b);
        size_t rows[3][WORD_MAX + 1];
        size_t *before = rows[0], *above = rows[1], *row = rows[2];

        for (size_t j = 0; j <= n; j++)
                above[j] = j;
        for (size_t i = 1; a[i - 1]; i++) {
                row[0] = i;
                for (size_t j = 1; j <= n; j++) {
                        size_t replace = above[j - 1] + (fold(a[i - 1]) != fold(b[j - 1]));

                        row[j] = MIN_OF(replace, MIN_OF(above[j], row[j - 1]) + 1);
                        if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
                                row[j] = MIN_OF(row[j], before[j - 2] + 1);
                }

                size_t *spare = before;

                before = above;
                above = row;
                row = spare;
        }
        return above[n];
}

const char *config_report_suggest(const char *word, const char *const *words)
{
        size_t best = 3, length = strlen(word);
        const char *suggestion = NULL;

        if (length == 0 || length > WORD_MAX)
                return NULL;
        for (; *words; words++) {
                size_t distance = edit_distance(word, *words);

                /* a third of a short word is already another word */
                if (distance < best && distance * 3 <= MAX_OF(length, strlen(*words))) {
                        best = distance;
                        suggestion = *words;
                }
        }
        return suggestion;
}
