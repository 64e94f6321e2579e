/* Ranges of user ids: "1879048192-1879113727", both ends included. */
#pragma once

#include "supervisor/config.h"

#define CONFIG_RANGE_PATTERN "^[0-9]{1,10}-[0-9]{1,10}$"

/* -EINVAL: not a range of at least two; -ERANGE: not between minimum and maximum. */
int config_range_parse(const char *text, uint64_t minimum, uint64_t maximum, struct config_range *ret);
