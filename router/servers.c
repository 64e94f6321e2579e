#include "router/servers.h"

static int name_compare(const struct server *server, struct http_slice name)
{
        size_t size = strlen(server->name);
        int r = memcmp(server->name, name.data, MIN_OF(size, name.size));

        if (r != 0)
                return r;
        return size < name.size ? -1 : size > name.size;
}

/* Where name is, or where it would be inserted. */
static size_t servers_position(const struct servers *s, struct http_slice name)
{
        size_t low = 0, high = s->n_items;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (name_compare(&s->items[middle], name) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

int servers_put(struct servers *s, const struct ipc_server *pushed)
{
        if (!IPC_STRING_OK(pushed->name) || !IPC_STRING_OK(pushed->meta_key))
                return -EBADMSG;
        struct http_slice name = { pushed->name, strlen(pushed->name) };
        size_t at = servers_position(s, name);

        if (at == s->n_items || name_compare(&s->items[at], name) != 0) {
                struct server *items = reallocarray(s->items, s->n_items + 1, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                memmove(items + at + 1, items + at, (s->n_items - at) * sizeof(*items));
                s->items = items;
                s->n_items++;
        }
        s->items[at] = (struct server) {
                .is_default = pushed->is_default,
                .transport = pushed->transport,
                .keys = pushed->keys,
                .era = pushed->era,
                .keyless = pushed->keyless,
        };
        STR_COPY(s->items[at].name, pushed->name);
        STR_COPY(s->items[at].meta_key, pushed->meta_key);
        return 0;
}

void servers_done(struct servers *s)
{
        free(s->items);
        *s = (struct servers) {};
}

const struct server *servers_find(const struct servers *s, struct http_slice name)
{
        size_t at = servers_position(s, name);

        return at < s->n_items && name_compare(&s->items[at], name) == 0 ? &s->items[at] : NULL;
}

const struct server *servers_default(const struct servers *s)
{
        for (size_t i = 0; i < s->n_items; i++)
                if (s->items[i].is_default)
                        return &s->items[i];
        return NULL;
}
