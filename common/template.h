/* Texts of the configuration with values that only a session knows: "--port=${envmux:port}".
 *
 * At load time ${VAR}, ${VAR:-default}, ${env:VAR} and $$ are resolved once and ${envmux:NAME}
 * becomes a marker (0x01, one letter, and a default between 0x02 and 0x03 where one is given), so
 * that a value can never be expanded a second time. A compiled template is an ordinary string and
 * travels as one (IPC, worker spec). Text that holds such a byte itself is refused at load.
 *
 * A default stands for an unset and for an empty value, as in a shell; it is taken literally.
 * ${envmux:seed:-7} is the seed, or 7 in a session without one. */
#pragma once

#include "common/macro.h"

/* Per-session values; ${envmux:NAME}. The short form ${NAME} means the same where the environment
 * has no such variable. */
enum template_value {
        TEMPLATE_SEED,        /* decimal; empty when the session has none */
        TEMPLATE_SESSION,     /* session id */
        TEMPLATE_PORT,        /* held TCP port of an HTTP backend */
        TEMPLATE_SOCKET,      /* Unix socket path of an HTTP backend */
        TEMPLATE_CONFIG_FILE, /* file with the session's config object */
        TEMPLATE_WORKSPACE,   /* the session's private folder */
        TEMPLATE__MAX,
};

const char *template_value_to_string(enum template_value value);

/* Looks a variable of the environment up; NULL when unset. */
typedef const char *(*template_lookup_fn)(const char *name, void *userdata);

/* Compiles text. *ret is the caller's. -EINVAL with a sentence in *ret_why (the caller's; what is
 * wrong and what to do: unset variable, unknown envmux value, another client's reference such as
 * ${input:key}, unclosed brace, control byte); -ENOMEM. */
int template_compile(const char *text, template_lookup_fn lookup, void *userdata, char **ret, char **ret_why);

/* Bit mask (1 << enum template_value) of what a compiled template refers to. */
unsigned template_uses(const char *compiled);

/* Puts values in; values[i] NULL counts as empty. *ret is the caller's. -ENOMEM is the only failure. */
int template_expand(const char *compiled, const char *const values[static TEMPLATE__MAX], char **ret);
