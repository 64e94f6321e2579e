#include "supervisor/session_settings.h"

#include "common/identity.h"
#include "supervisor/config_duration.h"

#include <md5.h>
#include <stdarg.h>
#include <stdio.h>

#define LABELS_BYTES_MAX (8u * 1024)

/* Reads one member; *ret_why is a string constant. */
typedef int (*member_reader)(struct json_slice value, struct session_settings *settings, const char **ret_why);

static int read_seed(struct json_slice value, struct session_settings *settings, const char **ret_why)
{
        if (json_slice_type(value) != JSON_NUMBER || json_integer(value, &settings->seed) < 0) {
                *ret_why = "must be an integer of 64 bits";
                return -EINVAL;
        }
        settings->has_seed = true;
        return 0;
}

static int keep(struct json_slice value, char **dst)
{
        *dst = strndup(value.data, value.size);
        return *dst ? 0 : -ENOMEM;
}

static int read_config(struct json_slice value, struct session_settings *settings, _unused_ const char **ret_why)
{
        return json_slice_type(value) == JSON_NULL ? 0 : keep(value, &settings->config);
}

static int read_labels(struct json_slice value, struct session_settings *settings, const char **ret_why)
{
        struct json_slice name, label;
        size_t cursor = 0;
        bool is_valid = json_slice_type(value) == JSON_OBJECT && value.size <= LABELS_BYTES_MAX;

        while (is_valid && json_next(value, &cursor, &name, &label) > 0)
                is_valid = json_slice_type(label) == JSON_STRING;
        if (!is_valid) {
                *ret_why = "must be an object of strings, at most 8 KiB";
                return -EINVAL;
        }
        return keep(value, &settings->labels);
}

static int read_duration(struct json_slice value, usec_t *ret, const char **ret_why)
{
        char text[64];
        int r = -EINVAL;

        if (json_slice_type(value) == JSON_STRING)
                r = json_string_copy(value, text, sizeof(text)) < 0 ? -EINVAL : config_duration_parse(text, ret);
        else if (json_slice_type(value) == JSON_NUMBER && value.size < sizeof(text)) {
                memcpy(text, value.data, value.size);
                text[value.size] = '\0';
                r = config_duration_parse(text, ret);
        }
        if (r < 0 || *ret == 0) {
                *ret_why = "must be a number of seconds above 0, or a duration such as \"90s\" or \"1h30min\"";
                return -EINVAL;
        }
        return 0;
}

static int read_idle(struct json_slice value, struct session_settings *settings, const char **ret_why)
{
        return read_duration(value, &settings->idle_usec, ret_why);
}

static int read_lifetime(struct json_slice value, struct session_settings *settings, const char **ret_why)
{
        return read_duration(value, &settings->lifetime_usec, ret_why);
}

static const struct {
        const char *name;
        member_reader read;
} members[] = {
        { "seed", read_seed },
        { "config", read_config },
        { "labels", read_labels },
        { "idle_timeout", read_idle },
        { "lifetime", read_lifetime },
};

static _printf_(2, 3) int refuse(char **ret_why, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        if (vasprintf(ret_why, format, ap) < 0)
                *ret_why = NULL;
        va_end(ap);
        return -EINVAL;
}

static int read_member(struct json_slice name, struct json_slice value, unsigned *seen,
                       struct session_settings *settings, char **ret_why)
{
        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                const char *why = NULL;

                if (!json_string_is(name, members[i].name))
                        continue;
                if (*seen & (1u << i))
                        return refuse(ret_why, "\"%s\" is given twice", members[i].name);
                *seen |= 1u << i;
                int r = members[i].read(value, settings, &why);

                return why ? refuse(ret_why, "\"%s\" %s", members[i].name, why) : r;
        }
        return refuse(ret_why, "unknown member %.*s: there are \"seed\", \"config\", \"labels\", \"idle_timeout\" and "
                               "\"lifetime\"", (int) MIN_OF(name.size, (size_t) 64), name.data);
}

static int digest_make(struct json_slice object, char ret[static 40])
{
        _cleanup_free_ char *canonical = NULL;
        size_t size = 0;
        int r = identity_canonical_json(object, &canonical, &size);

        if (r < 0)
                return r;
        memset(ret, 0, 40);
        MD5Data((const uint8_t *) canonical, size, ret);
        return 0;
}

int session_settings_parse(const char *body, size_t size, struct session_settings *ret, char **ret_why)
{
        _cleanup_settings_ struct session_settings settings = { .has_seed = false };
        struct json_slice object, name, value;
        size_t cursor = 0;
        unsigned seen = 0;

        if (size == 0) {
                body = "{}";
                size = 2;
        }
        if (json_validate(body, size, &object) < 0 || json_slice_type(object) != JSON_OBJECT)
                return refuse(ret_why, "the body must be a JSON object");
        while (json_next(object, &cursor, &name, &value) > 0) {
                int r = read_member(name, value, &seen, &settings, ret_why);

                if (r < 0)
                        return r;
        }
        int r = digest_make(object, settings.digest);

        if (r < 0)
                return r;
        *ret = settings;
        settings = (struct session_settings) { .has_seed = false };
        return 0;
}

bool session_settings_is_empty(const struct session_settings *s)
{
        return !s->has_seed && !s->config && !s->labels && s->idle_usec == 0 && s->lifetime_usec == 0;
}

void session_settings_done(struct session_settings *s)
{
        free(s->config);
        free(s->labels);
        *s = (struct session_settings) { .has_seed = false };
}
