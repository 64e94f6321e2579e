/* What was received of a request's body, kept up to a cap: to look for `initialize`, to send again
 * to a fresh worker, to know the id an error answers. */
#pragma once

#include "common/macro.h"

/* Zero-initialised is an empty, complete body. */
struct body {
        char *data;
        size_t size, allocated;
        bool is_partial; /* something was not kept: data is empty from then on */
};

/* Appends while the whole stays within size_max; else gives everything up and marks it partial. */
void body_append(struct body *body, const void *data, size_t size, size_t size_max);

/* Frees what is kept; a body that held something is partial from then on. */
void body_drop(struct body *body);

/* Back to empty and complete. */
void body_reset(struct body *body);
