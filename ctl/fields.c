#include "ctl/fields.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

static struct json_object *find(struct json_object *object, const char *name, enum json_type type)
{
        struct json_object *value;

        if (!json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, type))
                return NULL;
        return value;
}

const char *field_string(struct json_object *object, const char *name)
{
        return json_object_get_string(find(object, name, json_type_string));
}

int64_t field_int(struct json_object *object, const char *name, int64_t fallback)
{
        struct json_object *value = find(object, name, json_type_int);

        return value ? json_object_get_int64(value) : fallback;
}

bool field_bool(struct json_object *object, const char *name)
{
        return json_object_get_boolean(find(object, name, json_type_boolean));
}

struct json_object *field_object(struct json_object *object, const char *name)
{
        return find(object, name, json_type_object);
}

struct json_object *field_array(struct json_object *object, const char *name, size_t *ret_n)
{
        struct json_object *array = find(object, name, json_type_array);

        *ret_n = array ? json_object_array_length(array) : 0;
        return array;
}

const char *human_duration(usec_t usec, char buffer[static HUMAN_SIZE])
{
        uint64_t seconds = usec / USEC_PER_SEC, minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

        if (seconds == 0)
                snprintf(buffer, HUMAN_SIZE, "%" PRIu64 "ms", usec / USEC_PER_MSEC);
        else if (minutes == 0)
                snprintf(buffer, HUMAN_SIZE, "%" PRIu64 "s", seconds);
        else if (hours == 0)
                snprintf(buffer, HUMAN_SIZE, "%" PRIu64 "m", minutes);
        else if (days == 0)
                snprintf(buffer, HUMAN_SIZE, "%" PRIu64 "h%02" PRIu64 "m", hours, minutes % 60);
        else
                snprintf(buffer, HUMAN_SIZE, "%" PRIu64 "d%02" PRIu64 "h", days, hours % 24);
        return buffer;
}

const char *human_bytes(uint64_t bytes, char buffer[static HUMAN_SIZE])
{
        static const char units[] = " KMGTPE";
        double value = (double) bytes;
        size_t unit = 0;

        while (value >= 1024 && unit + 2 < sizeof(units)) {
                value /= 1024;
                unit++;
        }
        if (unit == 0)
                snprintf(buffer, HUMAN_SIZE, "%" PRIu64, bytes);
        else
                snprintf(buffer, HUMAN_SIZE, "%.1f%c", value, units[unit]);
        return buffer;
}
