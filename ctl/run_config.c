#include "ctl/run.h"

#include "common/fd.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>

/* Words of the command line mean themselves: "$" would start a variable in a configuration. */
static struct json_object *literal(const char *text)
{
        _cleanup_free_ char *doubled = malloc(2 * strlen(text) + 1);
        char *out = doubled;

        if (!doubled)
                return NULL;
        for (; *text; text++) {
                if (*text == '$')
                        *out++ = '$';
                *out++ = *text;
        }
        *out = '\0';
        return json_object_new_string(doubled);
}

/* Adds value under name; both are consumed, a NULL value is -ENOMEM. */
static int add(struct json_object *object, const char *name, struct json_object *value)
{
        if (!value || json_object_object_add(object, name, value) < 0)
                return -ENOMEM;
        return 0;
}

static int fill_entry(struct json_object *entry, const char *cwd, char *const *argv)
{
        _cleanup_free_ char *command = NULL;
        struct json_object *args = json_object_new_array();
        int r = add(entry, "args", args);

        for (size_t i = 1; r >= 0 && argv[i]; i++) {
                struct json_object *word = literal(argv[i]);

                r = word && json_object_array_add(args, word) >= 0 ? 0 : -ENOMEM;
        }
        if (r < 0)
                return r;
        if (asprintf(&command, "%s%s%s", strchr(argv[0], '/') && argv[0][0] != '/' ? cwd : "",
                     strchr(argv[0], '/') && argv[0][0] != '/' ? "/" : "", argv[0]) < 0)
                return -ENOMEM;
        r = add(entry, "command", literal(command));
        if (r >= 0)
                r = add(entry, "cwd", literal(cwd)); /* as if typed without envmux */
        return r;
}

int run_config_write(const char *runtime, char *const *argv, char **ret_path)
{
        struct json_object *root = json_object_new_object(), *servers = json_object_new_object(),
                           *entry = json_object_new_object();
        _cleanup_free_ char *cwd = getcwd(NULL, 0), *path = NULL;
        const char *text;
        int r;

        r = !root ? -ENOMEM : add(root, "mcpServers", servers);
        if (r >= 0)
                r = add(servers, "default", entry);
        if (r >= 0)
                r = cwd ? fill_entry(entry, cwd, argv) : -ENOENT;
        if (r >= 0 && asprintf(&path, "%s/config.json", runtime) < 0)
                r = -ENOMEM;
        if (r >= 0) {
                text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
                r = text ? fd_write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0600) : -ENOMEM;
        }
        json_object_put(root);
        if (r >= 0)
                *ret_path = TAKE_PTR(path);
        return r;
}
