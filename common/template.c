#include "common/template.h"

#include <stdarg.h>
#include <stdio.h>

/* A compiled reference is MARK and a letter ('a' + value), followed by DEFAULT_OPEN … DEFAULT_CLOSE
 * where the text gave a default. */
#define MARK '\x01'
#define DEFAULT_OPEN '\x02'
#define DEFAULT_CLOSE '\x03'

static const char *const value_names[TEMPLATE__MAX] = {
        [TEMPLATE_SEED] = "seed",
        [TEMPLATE_SESSION] = "session",
        [TEMPLATE_PORT] = "port",
        [TEMPLATE_SOCKET] = "socket",
        [TEMPLATE_CONFIG_FILE] = "config_file",
        [TEMPLATE_WORKSPACE] = "workspace",
};

/* References that other clients know and envmux cannot answer, with what to write instead. */
static const struct {
        const char *prefix;
        const char *advice;
} foreign_references[] = {
        { "input:", "is a prompt of VS Code's; put the value into the environment and write ${env:NAME}" },
        { "file:", "inserts a file's text in Windsurf; put the value into the environment and write ${env:NAME}" },
        { "config:", "is a setting of VS Code's; write its value" },
        { "command:", "runs a command of VS Code's; write its result" },
        { "workspaceFolder", "is the folder open in an editor; write an absolute path, or ${envmux:workspace} for the "
                             "session's private folder" },
        { "userHome", "is an editor's; write ${HOME}" },
        { "pathSeparator", "is an editor's; write /" },
        { "/", "is an editor's; write a plain /" },
        { "CLAUDE_PLUGIN_ROOT", "is set by Claude Code for plug-ins; write the plug-in's absolute path" },
};

/* Where a compilation stands. */
struct compilation {
        template_lookup_fn lookup;
        void *userdata;
        char *text; /* the result so far */
        size_t size, allocated;
        char *why;
};

/* One ${…}: the slices between its braces. */
struct reference {
        const char *whole; /* from '$' to '}' */
        size_t whole_size;
        const char *name; /* without a prefix "env:" or "envmux:" */
        size_t name_size;
        const char *fallback; /* NULL: no ":-" */
        size_t fallback_size;
        bool is_env, is_envmux;
};

const char *template_value_to_string(enum template_value value)
{
        return (unsigned) value < TEMPLATE__MAX ? value_names[value] : NULL;
}

static int value_from_name(const char *name, size_t size)
{
        for (int i = 0; i < TEMPLATE__MAX; i++)
                if (strlen(value_names[i]) == size && memcmp(value_names[i], name, size) == 0)
                        return i;
        return -ENOENT;
}

static int append(struct compilation *c, const char *bytes, size_t size)
{
        if (c->size + size + 1 > c->allocated) {
                size_t allocated = MAX_OF(c->allocated * 2, c->size + size + 64);
                char *bigger = realloc(c->text, allocated);

                if (!bigger)
                        return -ENOMEM;
                c->text = bigger;
                c->allocated = allocated;
        }
        memcpy(c->text + c->size, bytes, size);
        c->size += size;
        c->text[c->size] = '\0';
        return 0;
}

static _printf_(2, 3) int refuse(struct compilation *c, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        int n = vasprintf(&c->why, format, ap);
        va_end(ap);
        if (n < 0) {
                c->why = NULL;
                return -ENOMEM;
        }
        return -EINVAL;
}

static bool holds_marker(const char *bytes, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (bytes[i] == MARK || bytes[i] == DEFAULT_OPEN || bytes[i] == DEFAULT_CLOSE)
                        return true;
        return false;
}

static bool is_variable_name(const char *name, size_t size)
{
        if (size == 0 || (name[0] >= '0' && name[0] <= '9'))
                return false;
        for (size_t i = 0; i < size; i++) {
                char c = name[i];

                if (!(c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
                        return false;
        }
        return true;
}

/* Takes the reference at text ("${…") apart. */
static int reference_parse(struct compilation *c, const char *text, struct reference *ret)
{
        const char *inside = text + 2, *end = strchr(inside, '}');

        if (!end)
                return refuse(c, "\"${\" without \"}\" (write $${ for a literal ${)");

        struct reference ref = {
                .whole = text,
                .whole_size = (size_t) (end + 1 - text),
                .name = inside,
                .name_size = (size_t) (end - inside),
        };

        if (memmem(inside, ref.name_size, "${", 2))
                return refuse(c, "%.*s: a reference inside a reference is not supported", (int) ref.whole_size, text);
        ref.is_env = strncmp(inside, "env:", 4) == 0;
        ref.is_envmux = strncmp(inside, "envmux:", 7) == 0;

        size_t skip = ref.is_env ? 4 : ref.is_envmux ? 7 : 0;

        ref.name += skip;
        ref.name_size -= skip;

        const char *fallback = memmem(ref.name, ref.name_size, ":-", 2);

        if (fallback) {
                ref.name_size = (size_t) (fallback - ref.name);
                ref.fallback = fallback + 2;
                ref.fallback_size = (size_t) (end - ref.fallback);
        }
        *ret = ref;
        return 0;
}

static int append_marker(struct compilation *c, int value, const struct reference *ref)
{
        char mark[2] = { MARK, (char) ('a' + value) };
        int r = append(c, mark, sizeof(mark));

        if (r < 0 || !ref->fallback)
                return r;
        if ((r = append(c, &(char) { DEFAULT_OPEN }, 1)) < 0 ||
            (r = append(c, ref->fallback, ref->fallback_size)) < 0)
                return r;
        return append(c, &(char) { DEFAULT_CLOSE }, 1);
}

static int append_variable(struct compilation *c, const struct reference *ref)
{
        _cleanup_free_ char *name = strndup(ref->name, ref->name_size);

        if (!name)
                return -ENOMEM;

        const char *value = c->lookup(name, c->userdata);

        if (value && (*value || !ref->fallback)) {
                if (holds_marker(value, strlen(value)))
                        return refuse(c, "the environment variable %s holds a control byte (0x01–0x03)", name);
                return append(c, value, strlen(value));
        }
        if (ref->fallback)
                return append(c, ref->fallback, ref->fallback_size);
        return refuse(c, "the environment variable %s is not set (set it, or write ${%s:-default})", name, name);
}

/* What to write instead of another client's reference; NULL when it is none. */
static const char *foreign_advice(const struct reference *ref)
{
        for (size_t i = 0; i < ELEMENTSOF(foreign_references); i++)
                if (strncmp(ref->name, foreign_references[i].prefix, strlen(foreign_references[i].prefix)) == 0)
                        return foreign_references[i].advice;
        return NULL;
}

static int refuse_unknown(struct compilation *c, const struct reference *ref)
{
        const char *advice = foreign_advice(ref);

        if (advice)
                return refuse(c, "%.*s %s", (int) ref->whole_size, ref->whole, advice);
        return refuse(c, "%.*s names no variable (known are ${NAME}, ${NAME:-default}, ${env:NAME}, ${envmux:NAME}; "
                      "write $${ for a literal ${)", (int) ref->whole_size, ref->whole);
}

static int append_reference(struct compilation *c, const struct reference *ref)
{
        int value = value_from_name(ref->name, ref->name_size);

        if (ref->is_envmux) {
                if (value < 0)
                        return refuse(c, "%.*s is not known (seed, session, port, socket, config_file and workspace "
                                      "are)", (int) ref->whole_size, ref->whole);
                return append_marker(c, value, ref);
        }
        if (!is_variable_name(ref->name, ref->name_size))
                return refuse_unknown(c, ref);

        _cleanup_free_ char *name = strndup(ref->name, ref->name_size);

        if (!name)
                return -ENOMEM;
        if (!ref->is_env && !c->lookup(name, c->userdata)) {
                if (value >= 0)
                        return append_marker(c, value, ref);
                if (!ref->fallback && foreign_advice(ref))
                        return refuse_unknown(c, ref);
        }
        return append_variable(c, ref);
}

static int compile_text(struct compilation *c, const char *text)
{
        int r = append(c, "", 0);

        while (r >= 0 && *text) {
                size_t plain = strcspn(text, "$");

                if (plain > 0) {
                        r = append(c, text, plain);
                        text += plain;
                } else if (text[1] == '$') {
                        r = append(c, "$", 1);
                        text += 2;
                } else if (text[1] == '{') {
                        struct reference ref = {};

                        r = reference_parse(c, text, &ref);
                        if (r >= 0)
                                r = append_reference(c, &ref);
                        text += ref.whole_size;
                } else {
                        r = append(c, "$", 1);
                        text++;
                }
        }
        return r;
}

int template_compile(const char *text, template_lookup_fn lookup, void *userdata, char **ret, char **ret_why)
{
        struct compilation c = { .lookup = lookup, .userdata = userdata };
        int r = holds_marker(text, strlen(text)) ? refuse(&c, "holds a control byte (0x01–0x03)")
                                                 : compile_text(&c, text);

        if (r < 0) {
                free(c.text);
                if (r == -EINVAL)
                        *ret_why = c.why;
                return r;
        }
        *ret = c.text;
        return 0;
}

/* The value that the marker at p stands for. Compiled texts travel between processes, so a letter
 * that this build does not know stands for nothing. */
static int marker_value(const char *p)
{
        int value = p[1] - 'a';

        return p[1] && value >= 0 && value < TEMPLATE__MAX ? value : -ENOENT;
}

unsigned template_uses(const char *compiled)
{
        unsigned mask = 0;

        for (const char *p = compiled; (p = strchr(p, MARK)); p++) {
                int value = marker_value(p);

                if (value >= 0)
                        mask |= 1u << value;
        }
        return mask;
}

/* Appends what the marker at *p stands for and moves *p behind it and its default. */
static int expand_marker(struct compilation *c, const char **p, const char *const values[static TEMPLATE__MAX])
{
        int value = marker_value(*p);
        const char *text = value >= 0 ? values[value] : NULL;
        const char *rest = *p + ((*p)[1] ? 2 : 1);
        const char *fallback = NULL;
        size_t fallback_size = 0;

        if (*rest == DEFAULT_OPEN) {
                fallback = rest + 1;
                fallback_size = strcspn(fallback, (const char[]) { DEFAULT_CLOSE, '\0' });
                rest = fallback + fallback_size + (fallback[fallback_size] ? 1 : 0);
        }
        *p = rest;
        if (text && *text)
                return append(c, text, strlen(text));
        return append(c, fallback ? fallback : "", fallback_size);
}

int template_expand(const char *compiled, const char *const values[static TEMPLATE__MAX], char **ret)
{
        struct compilation c = {};
        int r = append(&c, "", 0);

        for (const char *p = compiled; r >= 0 && *p;) {
                size_t plain = strcspn(p, (const char[]) { MARK, '\0' });

                if (plain > 0) {
                        r = append(&c, p, plain);
                        p += plain;
                } else {
                        r = expand_marker(&c, &p, values);
                }
        }
        if (r < 0) {
                free(c.text);
                return r;
        }
        *ret = c.text;
        return 0;
}
