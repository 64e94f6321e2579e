/* Durations as people write them: "30min", "1h30min", "500ms", "1.5h"; a plain number is seconds. */
#pragma once

#include "common/time_util.h"

struct json_object;

/* Units: us, ms, s (sec, second, seconds), m (min, minute, minutes), h (hr, hour, hours), d (day,
 * days), w (week, weeks); spaces may stand between the parts. -EINVAL: not a duration; -ERANGE: more
 * than 10000 days. */
int config_duration_parse(const char *text, usec_t *ret);

/* The same for a JSON value: a string, or a number of seconds. */
int config_duration_from_json(struct json_object *value, usec_t *ret);

#define CONFIG_DURATION_SIZE 64

/* The shortest way to write it: "1h30min"; ret is returned. */
const char *config_duration_format(usec_t usec, char ret[static CONFIG_DURATION_SIZE]);
