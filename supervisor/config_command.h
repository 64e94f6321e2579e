/* What is known about commands: where they are, and which of their arguments are programs. */
#pragma once

#include "common/macro.h"

/* Finds an executable: a path as it is, a name in search_path (NULL: $PATH), then in libexec (NULL:
 * the installed one), where the servers that come with envmux are. *ret is the caller's.
 * -ENOENT: nowhere; -ENOMEM. */
int config_command_find(const char *command, const char *search_path, const char *libexec, char **ret);

enum config_script {
        SCRIPT_NONE,
        SCRIPT_SHELL, /* text that a shell will run */
        SCRIPT_CODE,  /* text that another interpreter will run: python -c, node -e, … */
};

/* Whether args[index] is such text, wherever in the command line the interpreter stands (env, docker
 * and the like pass command lines on). args is NULL-terminated and without the command itself. */
enum config_script config_command_script(const char *command, char *const *args, size_t index);
