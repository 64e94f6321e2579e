#include "worker/waiting.h"

#include "worker/client.h"

void waiting_init(struct waiting_list *list)
{
        *list = (struct waiting_list) { .n = 0 };
        TAILQ_INIT(&list->list);
}

void waiting_done(struct waiting_list *list)
{
        struct waiting *waiting;

        while ((waiting = waiting_take(list)))
                waiting_free(waiting);
}

int waiting_add(struct waiting_list *list, struct client *client, struct stream *stream, bool is_initialize,
                const char *text, size_t size)
{
        struct waiting *waiting = list->n < WAITING_MAX ? calloc(1, sizeof(*waiting)) : NULL;

        if (!waiting)
                return list->n < WAITING_MAX ? -ENOMEM : -ENOBUFS;
        waiting->text = malloc(size);
        if (!waiting->text) {
                free(waiting);
                return -ENOMEM;
        }
        memcpy(waiting->text, text, size);
        waiting->size = size;
        waiting->client = client;
        waiting->stream = stream;
        waiting->is_initialize = is_initialize;
        TAILQ_INSERT_TAIL(&list->list, waiting, entry);
        list->n++;
        list->bytes += size;
        return 0;
}

static void unlink_one(struct waiting_list *list, struct waiting *waiting)
{
        TAILQ_REMOVE(&list->list, waiting, entry);
        list->n--;
        list->bytes -= waiting->size;
}

struct waiting *waiting_take(struct waiting_list *list)
{
        struct waiting *waiting = TAILQ_FIRST(&list->list);

        if (waiting)
                unlink_one(list, waiting);
        return waiting;
}

struct waiting *waiting_free(struct waiting *waiting)
{
        if (!waiting)
                return NULL;
        if (waiting->is_initialize)
                client_free(waiting->client);
        free(waiting->text);
        free(waiting);
        return NULL;
}

bool waiting_forget_stream(struct waiting_list *list, const struct stream *stream)
{
        struct waiting *waiting;

        TAILQ_FOREACH(waiting, &list->list, entry)
                if (waiting->stream == stream) {
                        unlink_one(list, waiting);
                        waiting_free(waiting);
                        return true;
                }
        return false;
}

struct waiting *waiting_take_of(struct waiting_list *list, const struct client *client)
{
        struct waiting *waiting;

        TAILQ_FOREACH(waiting, &list->list, entry)
                if (!waiting->is_initialize && waiting->client == client) {
                        unlink_one(list, waiting);
                        return waiting;
                }
        return NULL;
}
