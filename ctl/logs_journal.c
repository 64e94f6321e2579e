#include "ctl/logs_journal.h"

#include "common/json_writer.h"
#include "common/macro.h"
#include "ctl/table.h"

#include <limits.h>
#include <stdio.h>
#include <systemd/sd-journal.h>

/* The value of a field of the entry that j stands on; -ENOENT: it has none. Valid until j moves. */
static int field(sd_journal *j, const char *name, const char **ret, size_t *ret_size)
{
        const void *data;
        size_t size, skip = strlen(name) + 1;
        int r = sd_journal_get_data(j, name, &data, &size);

        if (r < 0)
                return r;
        *ret = (const char *) data + skip;
        *ret_size = size - skip;
        return 0;
}

static int print_json(const char *text, size_t size, bool is_stdout)
{
        _cleanup_json_writer_ struct json_writer w = { .data = NULL };
        _cleanup_free_ char *line = NULL;

        json_writer_text(&w, "{\"text\":");
        json_writer_string_n(&w, text, size);
        json_writer_format(&w, ",\"stdout\":%s}", is_stdout ? "true" : "false");
        int r = json_writer_finish(&w, &line, NULL);

        if (r >= 0)
                puts(line);
        return r;
}

static int print_entry(sd_journal *j, bool json)
{
        const char *text, *stream;
        size_t size, stream_size;
        int r = field(j, "ENVMUX_STREAM", &stream, &stream_size);
        bool is_stdout = r >= 0 && stream_size == strlen("stdout") && memcmp(stream, "stdout", stream_size) == 0;

        if (r >= 0)
                r = field(j, "MESSAGE", &text, &size);
        if (r < 0)
                return r;
        if (json)
                return print_json(text, size, is_stdout);
        print_safely(text, size);
        putchar('\n');
        return 0;
}

/* Only what backends wrote has a stream; two matches of one field mean either. */
static int select_lines(sd_journal *j, const char *id)
{
        char session[128];

        if ((size_t) snprintf(session, sizeof(session), "ENVMUX_SESSION=%s", id) >= sizeof(session))
                return -ENAMETOOLONG;
        int r = sd_journal_add_match(j, session, 0);

        if (r >= 0)
                r = sd_journal_add_match(j, "ENVMUX_STREAM=stderr", 0);
        if (r >= 0)
                r = sd_journal_add_match(j, "ENVMUX_STREAM=stdout", 0);
        return r;
}

/* Stands before the first line that is wanted. */
static int seek(sd_journal *j, unsigned long lines_max)
{
        if (lines_max == 0)
                return sd_journal_seek_head(j);
        int r = sd_journal_seek_tail(j);

        /* One more, so that the next is the first; where there are not so many, the first is the one it stands on. */
        if (r >= 0)
                r = sd_journal_previous_skip(j, lines_max + 1);
        return r < 0 || (unsigned long) r > lines_max ? MIN_OF(r, 0) : sd_journal_seek_head(j);
}

int logs_from_journal(const char *id, unsigned long lines_max, bool json)
{
        _cleanup_(sd_journal_closep) sd_journal *j = NULL;
        int n = 0, r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);

        if (r >= 0)
                r = select_lines(j, id);
        if (r >= 0)
                r = seek(j, lines_max);
        while (r >= 0 && n < INT_MAX && (r = sd_journal_next(j)) > 0) {
                r = print_entry(j, json);
                n++;
        }
        return r < 0 ? r : n;
}
