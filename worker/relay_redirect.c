#include "worker/relay_private.h"

bool relay_path_has_slash(const char *path)
{
        size_t size = strlen(path);

        return size > 1 && path[size - 1] == '/';
}

bool relay_path_follow(struct http_endpoint *endpoint, bool asked_with_slash, const struct http_head *head)
{
        char *path = endpoint->mcp_path;
        size_t size = strlen(path);
        struct http_slice location;
        char other[256];

        if ((head->status != 307 && head->status != 308) || size + 2 > sizeof(other) ||
            http_head_get(head, "Location", &location) < 0)
                return false;
        (void) STR_COPY(other, path);
        if (relay_path_has_slash(other))
                other[size - 1] = '\0';
        if (!asked_with_slash)
                (void) strcat(other, "/");
        size_t other_size = strlen(other);
        const char *question = memchr(location.data, '?', location.size);
        size_t location_size = question ? (size_t) (question - location.data) : location.size;

        if (location_size < other_size || memcmp(location.data + location_size - other_size, other, other_size) != 0)
                return false;
        char *copy = strdup(other);

        if (!copy)
                return false;
        free(endpoint->mcp_path);
        endpoint->mcp_path = copy;
        return true;
}

bool relay_redirect(struct relay *relay, const struct http_head *head)
{
        if (!relay->is_mcp || relay->was_redirected || !relay->is_retaining ||
            !relay_path_follow(relay->endpoint, relay->asked_with_slash, head))
                return false;
        relay->was_redirected = true;
        relay->backend = http_conn_free(relay->backend);
        int r = relay_send(relay);

        if (r < 0)
                relay_break(relay, r);
        return true;
}
