#include "supervisor/config_file.h"

#include "supervisor/config_texts.h"

#include <stdio.h>

#include <json-c/json.h>

/* One pass over the text before json-c sees it: comments and trailing commas become spaces, so that
 * every offset stays what it was, and what json-c would swallow (a repeated name, a line break in a
 * string) is found. */
struct scan {
        char *text;
        size_t size, pos;
        struct config_report *report;
        size_t depth;
        char brackets[CONFIG_FILE_DEPTH_MAX]; /* '{' or '[' */
        struct json_object *names[CONFIG_FILE_DEPTH_MAX]; /* seen in this object */
        char last;         /* newest byte that is neither white space nor comment */
        size_t comma;      /* offset of the newest comma */
        bool expects_name; /* the next string is a member's name */
};

static void mistake_at(struct scan *s, size_t offset, const char *what, const char *detail)
{
        size_t line = 1, column = 1;

        for (size_t i = 0; i < offset && i < s->size; i++) {
                if (s->text[i] == '\n') {
                        line++;
                        column = 1;
                } else if (((unsigned char) s->text[i] & 0xC0) != 0x80) {
                        column++; /* counts characters, not bytes */
                }
        }

        struct config_at top = { .report = s->report };
        char position[48];
        struct config_at at = config_at_member(&top, position);

        snprintf(position, sizeof(position), "%zu:%zu", line, column);
        at.is_position = true;
        config_report_mistake(&at, "%s%s", what, detail);
}

static void blank(struct scan *s, size_t from, size_t to)
{
        for (size_t i = from; i < to; i++)
                if (s->text[i] != '\n')
                        s->text[i] = ' ';
}

/* At "//" or a slash and an asterisk. */
static int skip_comment(struct scan *s)
{
        const char *begin = s->text + s->pos, *end;
        size_t left = s->size - s->pos;

        if (left > 1 && begin[1] == '/') {
                end = memchr(begin, '\n', left);
                if (!end)
                        end = s->text + s->size;
        } else if (left > 1 && begin[1] == '*') {
                end = memmem(begin + 2, left - 2, "*/", 2);
                if (!end) {
                        mistake_at(s, s->pos, "a comment that does not end", "");
                        return -EINVAL;
                }
                end += 2;
        } else {
                mistake_at(s, s->pos, "unexpected \"/\"", "");
                return -EINVAL;
        }
        blank(s, s->pos, (size_t) (end - s->text));
        s->pos = (size_t) (end - s->text);
        return 0;
}

static int note_name(struct scan *s, size_t begin, size_t end)
{
        struct json_object *names = s->names[s->depth - 1];
        _cleanup_free_ char *name = strndup(s->text + begin, end - begin);

        if (!name)
                return -ENOMEM;
        if (json_object_object_get_ex(names, name, NULL)) {
                mistake_at(s, begin - 1, "this name stands twice in one object: ", name);
                return 0;
        }
        return json_object_object_add(names, name, NULL) < 0 ? -ENOMEM : 0;
}

static int skip_string(struct scan *s)
{
        size_t begin = ++s->pos;

        for (; s->pos < s->size && s->text[s->pos] != '"'; s->pos++) {
                if (s->text[s->pos] == '\\' && s->pos + 1 < s->size)
                        s->pos++;
                else if ((unsigned char) s->text[s->pos] < ' ')
                        break;
        }
        if (s->pos >= s->size || s->text[s->pos] != '"') {
                mistake_at(s, begin - 1, "a string that does not end on its line", " (a missing quotation mark?)");
                return -EINVAL;
        }
        s->pos++;
        if (!s->expects_name)
                return 0;
        s->expects_name = false;
        return note_name(s, begin, s->pos - 1);
}

static int open_bracket(struct scan *s)
{
        if (s->depth == CONFIG_FILE_DEPTH_MAX) {
                mistake_at(s, s->pos, "nested too deep", "");
                return -EINVAL;
        }
        s->brackets[s->depth] = s->text[s->pos];
        s->names[s->depth] = json_object_new_object();
        if (!s->names[s->depth])
                return -ENOMEM;
        s->expects_name = s->text[s->pos] == '{';
        s->depth++;
        s->pos++;
        return 0;
}

static void close_bracket(struct scan *s, char last)
{
        if (last == ',')
                blank(s, s->comma, s->comma + 1);
        if (s->depth > 0)
                json_object_put(s->names[--s->depth]);
        s->expects_name = false;
        s->pos++;
}

static int scan_step(struct scan *s)
{
        char c = s->text[s->pos], last = s->last;

        if (c == '/')
                return skip_comment(s);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
                s->pos++;
                return 0;
        }
        s->last = c;
        switch (c) {
        case ',':
                if (last == '{' || last == '[' || last == ',') {
                        mistake_at(s, s->pos, "unexpected \",\"", "");
                        return -EINVAL;
                }
                s->expects_name = s->depth > 0 && s->brackets[s->depth - 1] == '{';
                s->comma = s->pos++;
                return 0;
        case '}':
        case ']':
                close_bracket(s, last);
                return 0;
        case '{':
        case '[':
                return open_bracket(s);
        case '"':
                return skip_string(s);
        case '\'': /* single quotes, NaN and Infinity, which json-c lets pass */
        case 'N':
        case 'I':
                mistake_at(s, s->pos, "not JSON: unexpected character", "");
                return -EINVAL;
        default:
                s->pos++;
                return 0;
        }
}

static int scan_text(struct scan *s)
{
        int r = 0;

        while (r >= 0 && s->pos < s->size)
                r = scan_step(s);
        while (s->depth > 0)
                json_object_put(s->names[--s->depth]);
        return r;
}

static int parse_text(struct scan *s, struct json_object **ret)
{
        struct json_tokener *tokener = json_tokener_new_ex(CONFIG_FILE_DEPTH_MAX + 1);

        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);

        struct json_object *root = json_tokener_parse_ex(tokener, s->text, (int) s->size + 1);
        enum json_tokener_error error = json_tokener_get_error(tokener);
        size_t end = json_tokener_get_parse_end(tokener);

        json_tokener_free(tokener);
        if (error == json_tokener_success && json_object_is_type(root, json_type_object)) {
                *ret = root;
                return 0;
        }
        json_object_put(root);
        if (error == json_tokener_success)
                mistake_at(s, 0, "must be an object: {\"mcpServers\": {…}}", "");
        else if (error == json_tokener_continue || end >= s->size)
                mistake_at(s, s->size, "ends too early", " (a bracket is not closed?)");
        else
                mistake_at(s, end, "not JSON: ", json_tokener_error_desc(error));
        return -EINVAL;
}

int config_file_parse(char *text, size_t size, struct config_report *report, struct json_object **ret)
{
        struct scan s = { .text = text, .size = size, .report = report };
        size_t n_mistakes = report->n_mistakes;

        if (memchr(text, '\0', size)) {
                mistake_at(&s, (size_t) strlen(text), "a NUL byte", "");
                return -EINVAL;
        }
        if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
                blank(&s, 0, 3);

        int r = scan_text(&s);
        struct json_object *root;

        if (r >= 0)
                r = parse_text(&s, &root);
        if (r < 0)
                return r;
        if (report->n_mistakes > n_mistakes) {
                json_object_put(root);
                return -EINVAL;
        }
        *ret = root;
        return 0;
}

int config_file_read(struct config_texts *texts, const char *path, struct config_report *report,
                     struct json_object **ret)
{
        struct config_at top = { .report = report };
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = config_texts_read(texts, path, CONFIG_FILE_SIZE_MAX, &text, &size);

        if (r == -EFBIG)
                config_report_mistake(&top, "larger than %d MiB", CONFIG_FILE_SIZE_MAX / 1024 / 1024);
        else if (r < 0)
                config_report_mistake(&top, "cannot be read: %s", strerror(-r));
        return r < 0 ? r : config_file_parse(text, size, report, ret);
}
