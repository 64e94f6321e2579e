#include "worker/listen.h"

struct listen {
        bool is_acknowledged;
        struct json_slice filter; /* params.notifications, our copy; size 0: it asked for nothing */
};

static const struct news {
        const char *method, *member;
        bool has_uri;
} all_news[] = {
        { "notifications/tools/list_changed", "toolsListChanged", false },
        { "notifications/prompts/list_changed", "promptsListChanged", false },
        { "notifications/resources/list_changed", "resourcesListChanged", false },
        { "notifications/resources/updated", "resourceSubscriptions", true },
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

static bool has_uri(struct json_slice uris, const struct jsonrpc_message *message)
{
        struct json_slice uri, element;

        if (json_slice_type(uris) != JSON_ARRAY || json_get(message->params, "uri", &uri) < 0 ||
            json_slice_type(uri) != JSON_STRING)
                return false;
        for (size_t cursor = 0; json_next(uris, &cursor, NULL, &element) > 0;)
                if (json_slice_type(element) == JSON_STRING && json_string_compare(element, uri) == 0)
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
        if (news->has_uri)
                return message->params.size > 0 && has_uri(member, message);
        return member.size == strlen("true") && memcmp(member.data, "true", member.size) == 0;
}

bool listen_is_news(const struct jsonrpc_message *message)
{
        return news_find(message) != NULL;
}
