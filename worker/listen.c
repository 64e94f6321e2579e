#include "worker/listen.h"

struct listen {
        bool is_acknowledged;
        struct json_slice filter; /* params.notifications, our copy; size 0: it asked for nothing */
};

static const struct news {
        const char *method, *member;
        const char *about; /* the parameter that the filter lists values of; NULL: it is just wanted */
} all_news[] = {
        { "notifications/tools/list_changed", "toolsListChanged", NULL },
        { "notifications/prompts/list_changed", "promptsListChanged", NULL },
        { "notifications/resources/list_changed", "resourcesListChanged", NULL },
        { "notifications/resources/updated", "resourceSubscriptions", "uri" },
        { "notifications/tasks", "taskIds", "taskId" }, /* tasks extension (SEP-2663) */
};

static const struct news *news_find(const struct jsonrpc_message *message)
{
        for (size_t i = 0; i < ELEMENTSOF(all_news); i++)
                if (jsonrpc_method_is(message, all_news[i].method))
                        return &all_news[i];
        return NULL;
}

int listen_new(const struct jsonrpc_message *message, struct listen **ret)
{
        struct listen *listen;
        struct json_slice filter = { 0 };
        char *copy;

        if (message->params.size > 0)
                (void) json_get(message->params, "notifications", &filter);
        if (filter.size > LISTEN_FILTER_BYTES_MAX)
                return -E2BIG;
        listen = calloc(1, sizeof(*listen));
        copy = malloc(filter.size + 1);
        if (!listen || !copy) {
                free(listen);
                free(copy);
                return -ENOMEM;
        }
        if (filter.size > 0)
                memcpy(copy, filter.data, filter.size);
        listen->filter = (struct json_slice) { .data = copy, .size = filter.size };
        *ret = listen;
        return 0;
}

struct listen *listen_free(struct listen *listen)
{
        if (!listen)
                return NULL;
        free((char *) listen->filter.data);
        free(listen);
        return NULL;
}

void listen_acknowledge(struct listen *listen)
{
        listen->is_acknowledged = true;
}

static bool lists(struct json_slice values, struct json_slice params, const char *name)
{
        struct json_slice value, element;

        if (json_slice_type(values) != JSON_ARRAY || json_get(params, name, &value) < 0 ||
            json_slice_type(value) != JSON_STRING)
                return false;
        for (size_t cursor = 0; json_next(values, &cursor, NULL, &element) > 0;)
                if (json_slice_type(element) == JSON_STRING && json_string_compare(element, value) == 0)
                        return true;
        return false;
}

bool listen_wants(const struct listen *listen, const struct jsonrpc_message *message)
{
        const struct news *news = news_find(message);
        struct json_slice member;

        if (!news || !listen->is_acknowledged || listen->filter.size == 0 ||
            json_get(listen->filter, news->member, &member) < 0)
                return false;
        if (news->about)
                return message->params.size > 0 && lists(member, message->params, news->about);
        return member.size == strlen("true") && memcmp(member.data, "true", member.size) == 0;
}

bool listen_is_news(const struct jsonrpc_message *message)
{
        return news_find(message) != NULL;
}
