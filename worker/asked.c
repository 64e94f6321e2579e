#include "worker/asked.h"

#include "common/jsonrpc.h"
#include "common/macro.h"

struct asked {
        TAILQ_ENTRY(asked) entry;
        uint64_t call_serial;
        const struct client *client;
        size_t id_size;
        char id[];
};

struct asked_list {
        TAILQ_HEAD(, asked) list;
        unsigned n;
};

int asked_new(struct asked_list **ret)
{
        struct asked_list *list = calloc(1, sizeof(*list));

        if (!list)
                return -ENOMEM;
        TAILQ_INIT(&list->list);
        *ret = list;
        return 0;
}

static void forget(struct asked_list *list, struct asked *asked)
{
        TAILQ_REMOVE(&list->list, asked, entry);
        list->n--;
        free(asked);
}

struct asked_list *asked_free(struct asked_list *list)
{
        if (!list)
                return NULL;
        while (!TAILQ_EMPTY(&list->list))
                forget(list, TAILQ_FIRST(&list->list));
        free(list);
        return NULL;
}

static struct asked *find(const struct asked_list *list, struct json_slice id)
{
        struct asked *asked;

        TAILQ_FOREACH(asked, &list->list, entry)
                if (jsonrpc_id_equal((struct json_slice) { .data = asked->id, .size = asked->id_size }, id))
                        return asked;
        return NULL;
}

void asked_add(struct asked_list *list, struct json_slice id, uint64_t call_serial, const struct client *client)
{
        struct asked *asked;

        asked_remove(list, id);
        asked = id.size <= TOKEN_BYTES_MAX ? malloc(sizeof(*asked) + id.size) : NULL;
        if (!asked)
                return;
        asked->call_serial = call_serial;
        asked->client = client;
        asked->id_size = id.size;
        memcpy(asked->id, id.data, id.size);
        TAILQ_INSERT_TAIL(&list->list, asked, entry);
        if (++list->n > ASKED_MAX)
                forget(list, TAILQ_FIRST(&list->list));
}

bool asked_find(const struct asked_list *list, struct json_slice id, uint64_t *ret_call_serial,
                const struct client **ret_client)
{
        const struct asked *asked = find(list, id);

        if (!asked)
                return false;
        *ret_call_serial = asked->call_serial;
        *ret_client = asked->client;
        return true;
}

void asked_remove(struct asked_list *list, struct json_slice id)
{
        struct asked *asked = find(list, id);

        if (asked)
                forget(list, asked);
}

void asked_forget_client(struct asked_list *list, const struct client *client)
{
        for (struct asked *asked = TAILQ_FIRST(&list->list), *next; asked; asked = next) {
                next = TAILQ_NEXT(asked, entry);
                if (asked->client == client)
                        forget(list, asked);
        }
}
