#include "supervisor/config_text.h"

#include <stdio.h>

#include <json-c/json.h>

#define LISTEN_USES (1u << TEMPLATE_PORT | 1u << TEMPLATE_SOCKET)

static const char *lookup_variable(const char *name, void *userdata)
{
        return getenv(name);
}

static int compile(const struct config_at *at, const char *raw, char **ret)
{
        _cleanup_free_ char *why = NULL;
        int r = template_compile(raw, lookup_variable, NULL, ret, &why);

        if (r != -EINVAL)
                return r;
        config_report_mistake(at, "%s", why);
        *ret = NULL;
        return 0;
}

int config_text_compile(const struct config_text *text, const struct config_at *at, const char *raw, char **ret)
{
        _cleanup_free_ char *compiled = NULL;
        int r = compile(at, raw, &compiled);

        if (r < 0 || !compiled)
                return r;

        unsigned uses = template_uses(compiled);

        *text->uses |= uses;
        if ((uses & LISTEN_USES) && !text->may_listen) {
                config_report_mistake(at, "${envmux:%s} needs \"envmux\": {\"transport\": \"http\"}",
                                      uses & (1u << TEMPLATE_PORT) ? "port" : "socket");
                return 0;
        }
        *ret = TAKE_PTR(compiled);
        return 0;
}

int config_text_read(const struct config_text *text, const struct config_at *at, struct json_object *value,
                     char **ret)
{
        const char *raw = config_value_text(at, value);

        return raw ? config_text_compile(text, at, raw, ret) : 0;
}

int config_text_read_array(const struct config_text *text, const struct config_at *at, struct json_object *value,
                           char ***ret)
{
        if (!config_value_is(at, value, json_type_array, "an array of strings"))
                return 0;

        size_t n = json_object_array_length(value);
        char **strings = calloc(n + 1, sizeof(*strings));
        bool is_good = true;
        int r = strings ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct config_at element = config_at_element(at, i);
                char *compiled = NULL;

                r = config_text_read(text, &element, json_object_array_get_idx(value, i), &compiled);
                if (compiled && is_good)
                        strings[i] = compiled;
                else
                        free(compiled);
                is_good = is_good && compiled;
        }
        if (r < 0 || !is_good) {
                config_value_free_strings(strings);
                return r;
        }
        *ret = strings;
        return 0;
}

int config_text_compile_fixed(const struct config_text *text, const struct config_at *at, const char *raw,
                              const char *why, char **ret)
{
        _cleanup_free_ char *compiled = NULL;
        int r = compile(at, raw, &compiled);

        if (r < 0 || !compiled)
                return r;

        unsigned uses = template_uses(compiled);

        if (uses) {
                config_report_mistake(at, "${envmux:%s} %s",
                                      template_value_to_string((enum template_value) __builtin_ctz(uses)), why);
                return 0;
        }
        *ret = TAKE_PTR(compiled);
        return 0;
}

/* True when a compiled path begins with a session's value that is an absolute path itself. */
static bool begins_absolute(const char *compiled)
{
        char first[3] = { compiled[0], compiled[0] ? compiled[1] : '\0', '\0' };

        return compiled[0] == '/' ||
               (template_uses(first) & (1u << TEMPLATE_WORKSPACE | 1u << TEMPLATE_CONFIG_FILE | 1u << TEMPLATE_SOCKET));
}

int config_text_make_absolute(const struct config_text *text, const struct config_at *at, char **path)
{
        char *absolute;

        if (begins_absolute(*path))
                return 0;
        if (**path == '~') {
                config_report_mistake(at, "~ is not expanded: write ${HOME}");
                free(TAKE_PTR(*path));
                return 0;
        }
        while (strncmp(*path, "./", 2) == 0)
                memmove(*path, *path + 2, strlen(*path) - 1);
        if (streq(*path, "."))
                **path = '\0';
        if (asprintf(&absolute, "%s%s%s", text->folder, **path || !*text->folder ? "/" : "", *path) < 0)
                return -ENOMEM;
        free(*path);
        *path = absolute;
        return 0;
}
