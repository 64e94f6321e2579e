#include "supervisor/config_command.h"

#include <stdio.h>
#include <sys/stat.h>

static bool is_executable(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Tries folder/command; 1: *ret is set, 0: not there. */
static int try_folder(const char *folder, size_t folder_size, const char *command, char **ret)
{
        char *path;

        if (asprintf(&path, "%.*s/%s", (int) folder_size, folder, command) < 0)
                return -ENOMEM;
        if (!is_executable(path)) {
                free(path);
                return 0;
        }
        *ret = path;
        return 1;
}

int config_command_find(const char *command, const char *search_path, const char *libexec, char **ret)
{
        int r;

        if (strchr(command, '/')) {
                if (!is_executable(command))
                        return -ENOENT;
                *ret = strdup(command);
                return *ret ? 0 : -ENOMEM;
        }
        if (!search_path)
                search_path = getenv("PATH");
        for (const char *folder = search_path; folder && *folder;) {
                size_t size = strcspn(folder, ":");

                if (*folder == '/') { /* relative folders would depend on where we were started */
                        r = try_folder(folder, size, command, ret);
                        if (r != 0)
                                return r < 0 ? r : 0;
                }
                folder += size + (folder[size] == ':');
        }
        if (!libexec)
                libexec = PKGLIBEXECDIR;
        r = try_folder(libexec, strlen(libexec), command, ret);
        return r < 0 ? r : r > 0 ? 0 : -ENOENT;
}

/* Programs that run text given as an argument. */
static const struct interpreter {
        const char *name;    /* a version may follow: python3.11 */
        enum config_script kind;
        const char *letters; /* short options that announce the text */
        const char *word;    /* a long one, or NULL */
        const char *valued;  /* short options that take the next argument for themselves */
} interpreters[] = {
        { "sh", SCRIPT_SHELL, "c", NULL, "oO" },
        { "bash", SCRIPT_SHELL, "c", NULL, "oO" },
        { "dash", SCRIPT_SHELL, "c", NULL, "oO" },
        { "ash", SCRIPT_SHELL, "c", NULL, "oO" },
        { "zsh", SCRIPT_SHELL, "c", NULL, "oO" },
        { "ksh", SCRIPT_SHELL, "c", NULL, "oO" },
        { "mksh", SCRIPT_SHELL, "c", NULL, "oO" },
        { "fish", SCRIPT_SHELL, "cC", "--command", "dDo" },
        { "pwsh", SCRIPT_SHELL, "cC", NULL, "" },
        { "python", SCRIPT_CODE, "c", NULL, "WX" },
        { "pypy", SCRIPT_CODE, "c", NULL, "WX" },
        { "node", SCRIPT_CODE, "ep", "--eval", "r" },
        { "bun", SCRIPT_CODE, "ep", "--eval", "r" },
        { "perl", SCRIPT_CODE, "eE", NULL, "" },
        { "ruby", SCRIPT_CODE, "e", NULL, "r" },
        { "php", SCRIPT_CODE, "r", "--run", "d" },
        { "lua", SCRIPT_CODE, "e", NULL, "l" },
};

static const struct interpreter *interpreter_of(const char *argument)
{
        const char *slash = strrchr(argument, '/'), *name = slash ? slash + 1 : argument;

        for (size_t i = 0; i < ELEMENTSOF(interpreters); i++) {
                size_t size = strlen(interpreters[i].name);

                if (strncmp(name, interpreters[i].name, size) == 0 &&
                    name[size + strspn(name + size, "0123456789.")] == '\0')
                        return &interpreters[i];
        }
        return NULL;
}

/* True when option makes the interpreter run text. */
static bool announces(const struct interpreter *interpreter, const char *option)
{
        size_t word = interpreter->word ? strlen(interpreter->word) : 0;

        if (word > 0 && strncmp(option, interpreter->word, word) == 0)
                return option[word] == '\0' || option[word] == '=';
        return option[0] == '-' && option[1] != '-' && strpbrk(option + 1, interpreter->letters);
}

/* True when the argument after option belongs to it: the last of "-euo". */
static bool takes_value(const struct interpreter *interpreter, const char *option)
{
        size_t size = strlen(option);

        return size > 1 && option[1] != '-' && strchr(interpreter->valued, option[size - 1]);
}

/* The kind of args[index], seen from the interpreter whose first argument is args[first]. */
static enum config_script script_of(const struct interpreter *interpreter, char *const *args, size_t first,
                                    size_t index)
{
        bool is_announced = false;

        for (size_t i = first; i <= index && args[i]; i++) {
                const char *argument = args[i];

                if (*argument != '-' && *argument != '+') /* the text, or the name of a file */
                        return i == index && is_announced ? interpreter->kind : SCRIPT_NONE;

                bool is_here = announces(interpreter, argument);

                if (is_here && i == index) /* -eTEXT, --eval=TEXT */
                        return interpreter->kind;
                is_announced = is_announced || is_here;
                if (takes_value(interpreter, argument) && (!is_here || interpreter->kind == SCRIPT_SHELL))
                        i++;
        }
        return SCRIPT_NONE;
}

enum config_script config_command_script(const char *command, char *const *args, size_t index)
{
        const struct interpreter *interpreter = interpreter_of(command);
        enum config_script kind = interpreter ? script_of(interpreter, args, 0, index) : SCRIPT_NONE;

        for (size_t i = 0; kind == SCRIPT_NONE && i < index && args[i]; i++) {
                interpreter = interpreter_of(args[i]);
                if (interpreter)
                        kind = script_of(interpreter, args, i + 1, index);
        }
        return kind;
}
