/* Where the daemons are: beside this binary (a build tree), in ../libexec/envmux (an installed tree
 * that was moved), or where `make install` put them. */
#pragma once

#include "common/macro.h"

#include <limits.h>

/* Full path of the daemon `name` ("envmux-supervisor"). -ENOENT when it is in none of the places;
 * ret then holds the last one tried, for the message. */
int libexec_find(const char *name, char ret[static PATH_MAX]);
