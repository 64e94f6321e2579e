#include "supervisor/config_env.h"

#include "supervisor/config_texts.h"

#include <stdio.h>

#include <json-c/json.h>

#define FILE_SIZE_MAX (1024 * 1024)

struct environment {
        const struct config_text *text;
        char **variables; /* NULL-terminated */
        size_t n;
};

/* True when "NAME=VALUE" sets the same variable as name. */
static bool sets(const char *variable, const char *name)
{
        size_t size = strlen(name);

        return strncmp(variable, name, size) == 0 && variable[size] == '=';
}

/* Sets name to a compiled value, in the place of an earlier one. */
static int set(struct environment *e, const char *name, const char *compiled)
{
        char *variable;

        if (asprintf(&variable, "%s=%s", name, compiled) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < e->n; i++)
                if (sets(e->variables[i], name)) {
                        free(e->variables[i]);
                        e->variables[i] = variable;
                        return 0;
                }

        char **bigger = reallocarray(e->variables, e->n + 2, sizeof(*bigger));

        if (!bigger) {
                free(variable);
                return -ENOMEM;
        }
        e->variables = bigger;
        e->variables[e->n++] = variable;
        e->variables[e->n] = NULL;
        return 0;
}

static bool is_name(const char *name)
{
        return *name && !strchr(name, '=');
}

/* Says what is wrong with setting this variable. */
static bool may_set(const struct config_at *at, const char *name)
{
        if (!is_name(name))
                config_report_mistake(at, "is not the name of a variable");
        else if (strncmp(name, "ENVMUX_", 7) == 0)
                config_report_mistake(at, "variables named ENVMUX_… are set by envmux");
        else
                return true;
        return false;
}

/* ---- the file: NAME=VALUE lines, as dotenv reads them ---- */

/* Cuts white space off both ends, in place. */
static char *trim(char *s)
{
        s += strspn(s, " \t\r");

        size_t size = strlen(s);

        while (size > 0 && strchr(" \t\r", s[size - 1]))
                s[--size] = '\0';
        return s;
}

/* Undoes the quotes of a value, in place. In double quotes \n, \r, \t, \" and \\ are escapes; outside
 * of quotes " #" begins a comment. -EINVAL: a quote without its partner, or text behind it. */
static int unquote(char *value, char **ret)
{
        char quote = *value, *to = value, *p;

        if (quote != '"' && quote != '\'') {
                char *comment = strstr(value, " #");

                if (comment)
                        *comment = '\0';
                *ret = trim(value);
                return 0;
        }
        for (p = value + 1; *p && *p != quote; p++) {
                if (quote == '"' && *p == '\\' && p[1]) {
                        static const char names[] = "nrt", bytes[] = "\n\r\t";
                        const char *name = strchr(names, *++p);

                        *to++ = name ? bytes[name - names] : *p;
                } else {
                        *to++ = *p;
                }
        }
        if (!*p || (*trim(p + 1) && *trim(p + 1) != '#'))
                return -EINVAL;
        *to = '\0';
        *ret = value;
        return 0;
}

/* One line of the file; its values are literal: they must not turn into references. */
static int read_line(struct environment *e, const struct config_at *at, char *line, size_t number)
{
        char *text = trim(line), *value;

        if (!*text || *text == '#')
                return 0;
        if (strncmp(text, "export ", 7) == 0)
                text = trim(text + 7);

        char *equals = strchr(text, '=');

        if (!equals || equals == text) {
                config_report_mistake(at, "line %zu of the file is not NAME=VALUE", number);
                return 0;
        }
        *equals = '\0';

        char *name = trim(text);

        if (!may_set(at, name))
                return 0;
        if (unquote(trim(equals + 1), &value) < 0 || strpbrk(value, "\x01\x02\x03")) {
                config_report_mistake(at, "line %zu of the file: the value of %s is not understood", number, name);
                return 0;
        }
        return set(e, name, value);
}

static int read_file(struct environment *e, const struct config_at *at, struct json_object *value)
{
        const char *raw = config_value_text(at, value);
        _cleanup_free_ char *path = NULL, *content = NULL;
        size_t number = 0;
        int r;

        if (!raw)
                return 0;
        r = config_text_compile_fixed(e->text, at, raw, "is not known yet when the file is read", &path);
        if (r >= 0 && path)
                r = config_text_make_absolute(e->text, at, &path);
        if (r < 0 || !path)
                return r;
        r = config_texts_read(e->text->texts, path, FILE_SIZE_MAX, &content, NULL);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                config_report_mistake(at, "%s cannot be read: %s", path, strerror(-r));
                return 0;
        }
        for (char *rest = content, *line; r >= 0 && (line = strsep(&rest, "\n"));)
                r = read_line(e, at, line, ++number);
        return r;
}

/* ---- the object ---- */

/* Gemini CLI expands "$NAME"; here it is plain text. */
static bool looks_like_variable(const char *raw)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

        return raw[0] == '$' && raw[1] && (raw[1] < '0' || raw[1] > '9') && raw[1 + strspn(raw + 1, letters)] == '\0';
}

static int read_member(struct environment *e, const struct config_at *at, const char *name, struct json_object *value)
{
        _cleanup_free_ char *compiled = NULL;
        int r;

        if (!may_set(at, name))
                return 0;
        switch (json_object_get_type(value)) {
        case json_type_int: /* VS Code allows numbers; their text is the value */
        case json_type_double:
                r = config_text_compile(e->text, at, json_object_get_string(value), &compiled);
                break;
        case json_type_null:
                config_report_mistake(at, "must be a string: a variable cannot be removed, only set to \"\"");
                return 0;
        default:
                r = config_text_read(e->text, at, value, &compiled);
        }
        if (r < 0 || !compiled)
                return r;
        if (looks_like_variable(json_object_get_string(value)))
                config_report_note(at, "%s is passed as it stands: write ${%s} for the variable", compiled,
                                   compiled + 1);
        if (streq(name, "TMPDIR"))
                config_report_note(at, "has no effect: every session gets a TMPDIR of its own");
        return set(e, name, compiled);
}

int config_env_read(const struct config_text *text, const struct config_at *entry, struct json_object *env,
                    struct json_object *env_file, char ***ret)
{
        struct environment e = { .text = text, .variables = calloc(1, sizeof(char *)) };
        int r = e.variables ? 0 : -ENOMEM;

        if (r >= 0 && env_file) {
                struct config_at at = config_at_member(entry, "envFile");

                r = read_file(&e, &at, env_file);
        }
        if (r >= 0 && env) {
                struct config_at at = config_at_member(entry, "env");

                if (config_value_is(&at, env, json_type_object, "an object")) {
                        json_object_object_foreach(env, name, value) {
                                struct config_at member = config_at_member(&at, name);

                                if (r >= 0)
                                        r = read_member(&e, &member, name, value);
                        }
                }
        }
        if (r < 0) {
                config_value_free_strings(e.variables);
                return r;
        }
        *ret = e.variables;
        return 0;
}
