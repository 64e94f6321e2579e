/* What was received of a request's body, kept up to a cap: to look for its key, to send again
 * to a fresh worker, to know the id an error answers. */
#pragma once

#include "common/macro.h"

/* All bodies of the process together. */
struct body_budget {
        size_t used, max; /* bytes */
};

/* Zero-initialised but for the budget (NULL: none) is an empty, complete body. */
struct body {
        struct body_budget *budget;
        char *data;
        size_t size, allocated;
        bool is_partial; /* something was not kept: data is empty from then on */
};

/* Appends while the whole stays within size_max and all bodies within their budget. -EFBIG, -ENOBUFS
 * (the budget), -ENOMEM: everything is given up and the body partial; 0 also when it was before. */
int body_append(struct body *body, const void *data, size_t size, size_t size_max);

/* Frees what is kept; a body that held something is partial from then on. */
void body_drop(struct body *body);

/* Back to empty and complete. */
void body_reset(struct body *body);

/* More than half is used: what is kept only to make up for failures should go. */
bool body_budget_is_low(const struct body_budget *budget);
