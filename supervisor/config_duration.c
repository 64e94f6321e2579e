#include "supervisor/config_duration.h"

#include "common/macro.h"

#include <inttypes.h>
#include <stdio.h>

#include <json-c/json.h>

#define USEC_PER_DAY (24 * USEC_PER_HOUR)
#define DURATION_MAX (10000 * USEC_PER_DAY)

/* The first name of a size is the one that is printed; largest first. */
static const struct {
        const char *name;
        usec_t usec;
} units[] = {
        { "w", 7 * USEC_PER_DAY },    { "week", 7 * USEC_PER_DAY },      { "weeks", 7 * USEC_PER_DAY },
        { "d", USEC_PER_DAY },        { "day", USEC_PER_DAY },           { "days", USEC_PER_DAY },
        { "h", USEC_PER_HOUR },       { "hr", USEC_PER_HOUR },           { "hour", USEC_PER_HOUR },
        { "hours", USEC_PER_HOUR },   { "min", USEC_PER_MINUTE },        { "m", USEC_PER_MINUTE },
        { "minute", USEC_PER_MINUTE },{ "minutes", USEC_PER_MINUTE },    { "s", USEC_PER_SEC },
        { "sec", USEC_PER_SEC },      { "second", USEC_PER_SEC },        { "seconds", USEC_PER_SEC },
        { "ms", USEC_PER_MSEC },      { "us", 1 },
};

static usec_t unit_usec(const char *name, size_t size)
{
        if (size == 0)
                return USEC_PER_SEC;
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strlen(units[i].name) == size && memcmp(units[i].name, name, size) == 0)
                        return units[i].usec;
        return 0;
}

/* seconds, or any other count of a unit; fractions of a microsecond are cut off */
static int scale(double count, usec_t unit, usec_t *ret)
{
        if (!(count >= 0))
                return -EINVAL;
        if (count > (double) DURATION_MAX / (double) unit)
                return -ERANGE;
        *ret = (usec_t) (count * (double) unit + 0.5);
        return 0;
}

/* Reads digits with an optional fraction; locale-independent, unlike strtod. */
static int take_number(const char **text, double *ret)
{
        const char *p = *text;
        double value = 0, place = 1;

        if (*p < '0' || *p > '9')
                return -EINVAL;
        for (; *p >= '0' && *p <= '9'; p++)
                value = value * 10 + (*p - '0');
        if (*p == '.') {
                if (*++p < '0' || *p > '9')
                        return -EINVAL;
                for (; *p >= '0' && *p <= '9'; p++)
                        value += (*p - '0') * (place /= 10);
        }
        *text = p;
        *ret = value;
        return 0;
}

int config_duration_parse(const char *text, usec_t *ret)
{
        const char *p = text + strspn(text, " ");
        usec_t sum = 0;

        if (!*p)
                return -EINVAL;
        while (*p) {
                double count;
                usec_t part;
                int r = take_number(&p, &count);

                if (r < 0)
                        return r;
                p += strspn(p, " ");

                size_t size = strspn(p, "abcdefghijklmnopqrstuvwxyz");
                usec_t unit = unit_usec(p, size);

                if (unit == 0 || (size == 0 && sum > 0))
                        return -EINVAL;
                r = scale(count, unit, &part);
                if (r < 0)
                        return r;
                sum += part;
                if (sum > DURATION_MAX)
                        return -ERANGE;
                p += size;
                p += strspn(p, " ");
                if (size == 0 && *p)
                        return -EINVAL;
        }
        *ret = sum;
        return 0;
}

int config_duration_from_json(struct json_object *value, usec_t *ret)
{
        switch (json_object_get_type(value)) {
        case json_type_int:
        case json_type_double:
                return scale(json_object_get_double(value), USEC_PER_SEC, ret);
        case json_type_string:
                if (strlen(json_object_get_string(value)) != (size_t) json_object_get_string_len(value))
                        return -EINVAL;
                return config_duration_parse(json_object_get_string(value), ret);
        default:
                return -EINVAL;
        }
}

const char *config_duration_format(usec_t usec, char ret[static CONFIG_DURATION_SIZE])
{
        size_t used = 0;
        usec_t last = 0;

        if (usec == 0)
                return strcpy(ret, "0s");
        *ret = '\0';
        for (size_t i = 0; i < ELEMENTSOF(units) && usec > 0; i++) {
                if (units[i].usec == last || usec < units[i].usec)
                        continue;
                last = units[i].usec;
                used += (size_t) snprintf(ret + used, CONFIG_DURATION_SIZE - used, "%" PRIu64 "%s",
                                          usec / units[i].usec, units[i].name);
                usec %= units[i].usec;
        }
        return ret;
}
