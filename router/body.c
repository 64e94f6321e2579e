#include "router/body.h"

#define ALLOCATE_MIN 1024

static void body_free(struct body *b)
{
        if (b->budget)
                b->budget->used -= b->allocated;
        free(b->data);
        b->data = NULL;
        b->size = b->allocated = 0;
}

void body_drop(struct body *b)
{
        b->is_partial = b->is_partial || b->size > 0;
        body_free(b);
}

void body_reset(struct body *b)
{
        body_free(b);
        b->is_partial = false;
}

static int body_reserve(struct body *b, size_t size)
{
        size_t wanted = MAX_OF(b->allocated, (size_t) ALLOCATE_MIN);

        if (size <= b->allocated)
                return 0;
        while (wanted < size)
                wanted *= 2;
        if (b->budget && wanted - b->allocated > b->budget->max - MIN_OF(b->budget->used, b->budget->max))
                return -ENOBUFS;
        char *data = realloc(b->data, wanted);

        if (!data)
                return -ENOMEM;
        if (b->budget)
                b->budget->used += wanted - b->allocated;
        b->data = data;
        b->allocated = wanted;
        return 0;
}

int body_append(struct body *b, const void *data, size_t size, size_t size_max)
{
        if (b->is_partial || size == 0)
                return 0;
        int r = size > size_max - MIN_OF(b->size, size_max) ? -EFBIG : body_reserve(b, b->size + size);

        if (r < 0) {
                body_free(b);
                b->is_partial = true;
                return r;
        }
        memcpy(b->data + b->size, data, size);
        b->size += size;
        return 0;
}

bool body_budget_is_low(const struct body_budget *budget)
{
        return budget->used > budget->max / 2;
}
