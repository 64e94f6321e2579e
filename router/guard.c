#include "router/guard.h"

#include "common/json_scan.h"

#include <ctype.h>

void guard_done(struct guard *g)
{
        for (size_t i = 0; i < g->n_allowed; i++)
                free(g->allowed[i]);
        free(g->allowed);
        *g = (struct guard) {};
}

static int guard_add(struct guard *g, struct json_slice value)
{
        _cleanup_free_ char *text = malloc(value.size + 1);

        if (!text)
                return -ENOMEM;
        if (json_slice_type(value) != JSON_STRING || json_string_copy(value, text, value.size + 1) < 0)
                return -EBADMSG;
        char **allowed = reallocarray(g->allowed, g->n_allowed + 1, sizeof(*allowed));

        if (!allowed)
                return -ENOMEM;
        g->allowed = allowed;
        g->allowed[g->n_allowed++] = TAKE_PTR(text);
        return 0;
}

int guard_set(struct guard *g, const char *json, size_t size)
{
        struct guard fresh = {};
        struct json_slice array, name, value;
        size_t cursor = 0;
        int r = size ? json_validate(json, size, &array) : 0;

        if (r < 0)
                return -EBADMSG;
        if (size && json_slice_type(array) != JSON_ARRAY)
                return -EBADMSG;
        while (size && r == 0 && json_next(array, &cursor, &name, &value) > 0)
                r = guard_add(&fresh, value);
        if (r < 0) {
                guard_done(&fresh);
                return r;
        }
        guard_done(g);
        *g = fresh;
        return 0;
}

/* "name", "name:80", "[::1]:80": what stands before the port. False when the port is not digits. */
static bool host_split(struct http_slice authority, struct http_slice *ret_name)
{
        const char *end = authority.data + authority.size, *name_end = end;
        const char *after_bracket = authority.data;

        if (authority.size && authority.data[0] == '[') {
                after_bracket = memchr(authority.data, ']', authority.size);
                if (!after_bracket++)
                        return false;
        }
        const char *colon = memchr(after_bracket, ':', (size_t) (end - after_bracket));

        if (colon) {
                name_end = colon;
                for (const char *p = colon + 1; p < end; p++)
                        if (!isdigit((unsigned char) *p))
                                return false;
        }
        if (after_bracket != authority.data && name_end != after_bracket)
                return false;
        *ret_name = (struct http_slice) { authority.data, (size_t) (name_end - authority.data) };
        return name_end > authority.data;
}

/* 127.0.0.0/8 written as four decimal numbers, the only spelling that resolvers agree on. */
static bool name_is_loopback_ipv4(struct http_slice name)
{
        unsigned parts[4] = {}, n = 0, digits = 0;

        for (size_t i = 0; i < name.size; i++) {
                char c = name.data[i];

                if (c == '.' && digits && n < 3) {
                        n++;
                        digits = 0;
                } else if (isdigit((unsigned char) c) && digits < 3) {
                        parts[n] = parts[n] * 10 + (unsigned) (c - '0');
                        digits++;
                } else {
                        return false;
                }
        }
        return n == 3 && digits && parts[0] == 127 && parts[1] < 256 && parts[2] < 256 && parts[3] < 256;
}

static bool name_is_loopback(struct http_slice name)
{
        return http_slice_is_nocase(name, "localhost") || http_slice_is(name, "[::1]") || name_is_loopback_ipv4(name);
}

static bool guard_lists(const struct guard *g, struct http_slice word)
{
        for (size_t i = 0; i < g->n_allowed; i++)
                if (http_slice_is_nocase(word, g->allowed[i]))
                        return true;
        return false;
}

bool guard_host_ok(const struct guard *g, struct http_slice host)
{
        struct http_slice name;

        return host_split(host, &name) && (name_is_loopback(name) || guard_lists(g, name) || guard_lists(g, host));
}

bool guard_origin_ok(const struct guard *g, struct http_slice origin)
{
        static const char *const schemes[] = { "http://", "https://" };
        struct http_slice name;

        if (guard_lists(g, origin))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(schemes); i++) {
                size_t size = strlen(schemes[i]);

                if (origin.size < size || strncasecmp(origin.data, schemes[i], size) != 0)
                        continue;
                struct http_slice authority = { origin.data + size, origin.size - size };

                return host_split(authority, &name) && name_is_loopback(name);
        }
        return false;
}

int guard_check(const struct guard *g, const struct http_head *head, struct http_slice *ret_origin,
                enum reason *ret_reason)
{
        struct http_slice origin = {};

        if (!guard_host_ok(g, head->host)) {
                *ret_reason = REASON_forbidden_host;
                return -EACCES;
        }
        int r = http_head_get(head, "Origin", &origin);

        if (r == -EEXIST || (r == 0 && !guard_origin_ok(g, origin))) {
                *ret_reason = REASON_forbidden_origin;
                return -EACCES;
        }
        *ret_origin = origin;
        return 0;
}
