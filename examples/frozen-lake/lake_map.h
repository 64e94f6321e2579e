/* Maps of a frozen lake: the very ones of gymnasium's generate_random_map(size, p=0.8, seed). */
#pragma once

#include "common/macro.h"

#define LAKE_SIZE_MIN 2
#define LAKE_SIZE_MAX 64

enum lake_action {
        LAKE_LEFT,
        LAKE_DOWN,
        LAKE_RIGHT,
        LAKE_UP,
        LAKE_ACTION__MAX,
        LAKE_ACTION__INVALID = -EINVAL,
};

struct lake_map {
        unsigned size;
        char cells[LAKE_SIZE_MAX * LAKE_SIZE_MAX]; /* S start, F frozen, H hole, G goal; row by row */
};

/* A map whose goal can be reached. size is within the limits above. */
void lake_map_generate(unsigned size, uint64_t seed, struct lake_map *ret);

/* The cell that a move from cell leads to; at the edge the cell itself. */
unsigned lake_map_neighbour(const struct lake_map *map, unsigned cell, enum lake_action action);

#define LAKE_TEXT_SIZE ((LAKE_SIZE_MAX + 1) * LAKE_SIZE_MAX)

/* The rows, joined by newlines. */
void lake_map_text(const struct lake_map *map, char ret[static LAKE_TEXT_SIZE]);
