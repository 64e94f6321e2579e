#include "router/body.h"

#define ALLOCATE_MIN 1024

void body_drop(struct body *b)
{
        b->is_partial = b->is_partial || b->size > 0;
        free(b->data);
        b->data = NULL;
        b->size = b->allocated = 0;
}

void body_reset(struct body *b)
{
        free(b->data);
        *b = (struct body) {};
}

static bool body_reserve(struct body *b, size_t size)
{
        size_t wanted = MAX_OF(b->allocated, (size_t) ALLOCATE_MIN);

        if (size <= b->allocated)
                return true;
        while (wanted < size)
                wanted *= 2;
        char *data = realloc(b->data, wanted);

        if (!data)
                return false;
        b->data = data;
        b->allocated = wanted;
        return true;
}

void body_append(struct body *b, const void *data, size_t size, size_t size_max)
{
        if (b->is_partial || size == 0)
                return;
        if (size > size_max - MIN_OF(b->size, size_max) || !body_reserve(b, b->size + size)) {
                body_drop(b);
                b->is_partial = true;
                return;
        }
        memcpy(b->data + b->size, data, size);
        b->size += size;
}
