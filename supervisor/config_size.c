#include "supervisor/config_size.h"

#include "common/macro.h"

#include <inttypes.h>
#include <stdio.h>

#include <json-c/json.h>

static const char unit_letters[] = "KMGT"; /* 1024 to the power of 1, 2, … */

/* The shift that a unit stands for, or -EINVAL. */
static int unit_shift(const char *unit)
{
        if (!*unit)
                return 0;

        const char *letter = strchr(unit_letters, *unit);

        if (!letter || !(streq(unit + 1, "") || streq(unit + 1, "B") || streq(unit + 1, "iB")))
                return -EINVAL;
        return (int) (letter - unit_letters + 1) * 10;
}

int config_size_parse(const char *text, uint64_t *ret)
{
        const char *p = text;
        uint64_t value = 0;

        if (*p < '0' || *p > '9')
                return -EINVAL;
        for (; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(value, (uint64_t) 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t) (*p - '0'), &value))
                        return -ERANGE;
        p += strspn(p, " ");

        int shift = unit_shift(p);

        if (shift < 0)
                return shift;
        if (value > (UINT64_MAX >> shift))
                return -ERANGE;
        *ret = value << shift;
        return 0;
}

int config_size_from_json(struct json_object *value, uint64_t *ret)
{
        switch (json_object_get_type(value)) {
        case json_type_int:
                if (json_object_get_int64(value) < 0)
                        return -EINVAL;
                *ret = json_object_get_uint64(value);
                return 0;
        case json_type_string:
                if (strlen(json_object_get_string(value)) != (size_t) json_object_get_string_len(value))
                        return -EINVAL;
                return config_size_parse(json_object_get_string(value), ret);
        default:
                return -EINVAL;
        }
}

const char *config_size_format(uint64_t size, char ret[static CONFIG_SIZE_SIZE])
{
        size_t unit = 0;

        while (unit < strlen(unit_letters) && size > 0 && size % 1024 == 0) {
                size /= 1024;
                unit++;
        }
        snprintf(ret, CONFIG_SIZE_SIZE, "%" PRIu64 "%.*s", size, unit > 0, unit > 0 ? &unit_letters[unit - 1] : "");
        return ret;
}
