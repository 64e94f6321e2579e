#include "worker/launch.h"

#include <stdio.h>

struct strings {
        char **list;
        size_t n, allocated;
};

static int strings_add_consume(struct strings *strings, char *text)
{
        if (!text)
                return -ENOMEM;
        if (strings->n + 1 >= strings->allocated) {
                size_t allocated = strings->allocated ? strings->allocated * 2 : 16;
                char **bigger = reallocarray(strings->list, allocated, sizeof(*bigger));

                if (!bigger) {
                        free(text);
                        return -ENOMEM;
                }
                strings->list = bigger;
                strings->allocated = allocated;
        }
        strings->list[strings->n++] = text;
        strings->list[strings->n] = NULL;
        return 0;
}

static void list_free(char **list)
{
        for (size_t i = 0; list && list[i]; i++)
                free(list[i]);
        free(list);
}

static void strings_done(struct strings *strings)
{
        list_free(strings->list);
}

/* True when both are "NAME=…" of the same name. */
static bool same_name(const char *a, const char *b)
{
        size_t n = strcspn(a, "=");

        return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* Adds "NAME=VALUE", in place of an earlier one of that name. */
static int env_set_consume(struct strings *env, char *assignment)
{
        if (!assignment)
                return -ENOMEM;
        for (size_t i = 0; i < env->n; i++)
                if (same_name(env->list[i], assignment)) {
                        free(env->list[i]);
                        env->list[i] = assignment;
                        return 0;
                }
        return strings_add_consume(env, assignment);
}

static int env_set(struct strings *env, const char *name, const char *value)
{
        char *assignment = NULL;

        if (!value)
                return 0;
        if (asprintf(&assignment, "%s=%s", name, value) < 0)
                return -ENOMEM;
        return env_set_consume(env, assignment);
}

/* The service manager's words are meant for the supervisor; a backend that used them would be heard. */
static bool is_private(const char *assignment)
{
        static const char *const names[] = {
                "NOTIFY_SOCKET=", "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "LISTEN_PIDFDID=",
                "WATCHDOG_PID=", "WATCHDOG_USEC=", "MAINPID=", "FDSTORE=", "JOURNAL_STREAM=", "INVOCATION_ID=",
                "ENVMUX_JOURNAL=",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strncmp(assignment, names[i], strlen(names[i])) == 0)
                        return true;
        return !strchr(assignment, '=');
}

static int argv_make(const struct spec *spec, const char *const values[static TEMPLATE__MAX], char ***ret)
{
        _cleanup_(strings_done) struct strings argv = { 0 };
        int r = strings_add_consume(&argv, strdup(spec->command));

        for (size_t i = 0; r >= 0 && spec->args && spec->args[i]; i++) {
                char *argument = NULL;

                r = template_expand(spec->args[i], values, &argument);
                if (r >= 0)
                        r = strings_add_consume(&argv, argument);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(argv.list);
        return 0;
}

static int env_add_configured(struct strings *env, const struct spec *spec,
                              const char *const values[static TEMPLATE__MAX])
{
        for (size_t i = 0; spec->env && spec->env[i]; i++) {
                char *assignment = NULL;
                int r = template_expand(spec->env[i], values, &assignment);

                if (r >= 0)
                        r = env_set_consume(env, assignment);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int env_add_session(struct strings *env, const struct spec *spec,
                           const char *const values[static TEMPLATE__MAX])
{
        bool is_small = spec->config && strlen(spec->config) < LAUNCH_CONFIG_ENV_BYTES_MAX;
        const struct {
                const char *name, *value;
        } session[] = {
                { "ENVMUX_SESSION", values[TEMPLATE_SESSION] },
                { "ENVMUX_SEED", values[TEMPLATE_SEED] },
                { "ENVMUX_WORKSPACE", values[TEMPLATE_WORKSPACE] },
                { "TMPDIR", spec->tmp },
                { "ENVMUX_CONFIG", is_small ? spec->config : NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(session); i++) {
                int r = env_set(env, session[i].name, session[i].value);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int envp_make(const struct spec *spec, const char *const values[static TEMPLATE__MAX],
                     char *const *environ_base, char ***ret)
{
        _cleanup_(strings_done) struct strings env = { 0 };
        int r = 0;

        for (size_t i = 0; r >= 0 && environ_base[i]; i++)
                if (!is_private(environ_base[i]))
                        r = strings_add_consume(&env, strdup(environ_base[i]));
        if (r >= 0)
                r = env_add_configured(&env, spec, values);
        if (r >= 0)
                r = env_add_session(&env, spec, values);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(env.list);
        return 0;
}

int launch_new(const struct spec *spec, const char *const values[static TEMPLATE__MAX], char *const *environ_base,
               struct launch **ret)
{
        _cleanup_(launch_freep) struct launch *launch = calloc(1, sizeof(*launch));

        if (!launch)
                return -ENOMEM;
        int r = argv_make(spec, values, &launch->argv);

        if (r >= 0)
                r = envp_make(spec, values, environ_base, &launch->envp);
        if (r >= 0 && spec->cwd)
                r = template_expand(spec->cwd, values, &launch->cwd);
        else if (r >= 0 && !(launch->cwd = strdup(values[TEMPLATE_WORKSPACE])))
                r = -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(launch);
        return 0;
}

struct launch *launch_free(struct launch *launch)
{
        if (!launch)
                return NULL;
        list_free(launch->argv);
        list_free(launch->envp);
        free(launch->cwd);
        free(launch);
        return NULL;
}
