#include "worker/handles.h"

#include <sys/queue.h>

struct handle {
        TAILQ_ENTRY(handle) entry;
        char key[IPC_KEY_SIZE];
};

struct handles {
        TAILQ_HEAD(, handle) list; /* oldest first */
        unsigned n;
        handles_fn on_change;
        void *userdata;
};

int handles_new(handles_fn on_change, void *userdata, struct handles **ret)
{
        struct handles *handles = calloc(1, sizeof(*handles));

        if (!handles)
                return -ENOMEM;
        TAILQ_INIT(&handles->list);
        handles->on_change = on_change;
        handles->userdata = userdata;
        *ret = handles;
        return 0;
}

static void take_out(struct handles *handles, struct handle *handle)
{
        TAILQ_REMOVE(&handles->list, handle, entry);
        handles->n--;
        free(handle);
}

struct handles *handles_free(struct handles *handles)
{
        if (!handles)
                return NULL;
        while (!TAILQ_EMPTY(&handles->list))
                take_out(handles, TAILQ_FIRST(&handles->list));
        free(handles);
        return NULL;
}

static struct handle *find(const struct handles *handles, const char *key)
{
        struct handle *handle;

        TAILQ_FOREACH(handle, &handles->list, entry)
                if (streq(handle->key, key))
                        return handle;
        return NULL;
}

static void forget(struct handles *handles, struct handle *handle)
{
        handles->on_change(handle->key, true, handles->userdata);
        take_out(handles, handle);
}

int handles_add(struct handles *handles, const char *key)
{
        struct handle *handle = find(handles, key);

        if (handle) {
                TAILQ_REMOVE(&handles->list, handle, entry);
                TAILQ_INSERT_TAIL(&handles->list, handle, entry);
                return 0;
        }
        handle = calloc(1, sizeof(*handle));
        if (!handle)
                return -ENOMEM;
        STR_COPY(handle->key, key);
        TAILQ_INSERT_TAIL(&handles->list, handle, entry);
        if (++handles->n > HANDLES_MAX)
                forget(handles, TAILQ_FIRST(&handles->list));
        handles->on_change(handle->key, false, handles->userdata);
        return 0;
}

void handles_remove(struct handles *handles, const char *key)
{
        struct handle *handle = find(handles, key);

        if (handle)
                forget(handles, handle);
}

void handles_each(const struct handles *handles, handles_fn fn, void *userdata)
{
        const struct handle *handle;

        TAILQ_FOREACH(handle, &handles->list, entry)
                fn(handle->key, false, userdata);
}

unsigned handles_count(const struct handles *handles)
{
        return handles->n;
}
