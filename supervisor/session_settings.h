/* The body of PUT /SERVER/s/KEY: {"seed", "config", "labels", "idle_timeout", "lifetime"}, each optional. */
#pragma once

#include "common/macro.h"
#include "common/time_util.h"

struct session_settings {
        bool has_seed;
        int64_t seed;
        char *config;          /* JSON text, verbatim, or NULL */
        char *labels;          /* JSON object of strings, verbatim, or NULL */
        usec_t idle_usec, lifetime_usec; /* 0: the server's */
        char digest[40];       /* equal for bodies that say the same */
};

/* An empty body counts as {}. -EINVAL with a sentence in *ret_why (the caller's): not a JSON object, an
 * unknown member, a value of the wrong type or out of range. */
int session_settings_parse(const char *body, size_t size, struct session_settings *ret, char **ret_why);

/* Nothing was asked for. */
bool session_settings_is_empty(const struct session_settings *settings);

void session_settings_done(struct session_settings *settings);
#define _cleanup_settings_ _cleanup_(session_settings_done)
