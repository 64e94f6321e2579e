#include "worker/batch.h"

struct batch {
        char *text; /* "[…", with room for what closes it */
        size_t size;
};

int batch_add(struct batch **batch, const char *response, size_t size, size_t bytes_max)
{
        size_t held = *batch ? (*batch)->size : 0;

        if (held + size > bytes_max)
                return -ENOBUFS;
        char *text = realloc(*batch ? (*batch)->text : NULL, held + 1 + size + 1);

        if (!text)
                return -ENOMEM;
        if (!*batch && !(*batch = calloc(1, sizeof(**batch)))) {
                free(text);
                return -ENOMEM;
        }
        text[held] = held == 0 ? '[' : ',';
        memcpy(text + held + 1, response, size);
        (*batch)->text = text;
        (*batch)->size = held + 1 + size;
        return 0;
}

struct json_slice batch_array(struct batch *batch)
{
        batch->text[batch->size] = ']';
        return (struct json_slice) { .data = batch->text, .size = batch->size + 1 };
}

struct batch *batch_free(struct batch *batch)
{
        if (!batch)
                return NULL;
        free(batch->text);
        free(batch);
        return NULL;
}
