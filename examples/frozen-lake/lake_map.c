#include "examples/frozen-lake/lake_map.h"

#include "examples/frozen-lake/pcg64.h"

#define FROZEN_PROBABILITY 0.8

unsigned lake_map_neighbour(const struct lake_map *map, unsigned cell, enum lake_action action)
{
        unsigned size = map->size, row = cell / size, column = cell % size;

        switch (action) {
        case LAKE_LEFT:
                return column > 0 ? cell - 1 : cell;
        case LAKE_DOWN:
                return row + 1 < size ? cell + size : cell;
        case LAKE_RIGHT:
                return column + 1 < size ? cell + 1 : cell;
        case LAKE_UP:
                return row > 0 ? cell - size : cell;
        default:
                return cell;
        }
}

static bool goal_reachable(const struct lake_map *map)
{
        bool seen[LAKE_SIZE_MAX * LAKE_SIZE_MAX] = { true };
        uint16_t frontier[LAKE_SIZE_MAX * LAKE_SIZE_MAX] = { 0 };
        size_t n = 1;

        while (n > 0) {
                unsigned cell = frontier[--n];

                if (map->cells[cell] == 'G')
                        return true;
                for (int action = 0; action < LAKE_ACTION__MAX; action++) {
                        unsigned next = lake_map_neighbour(map, cell, (enum lake_action) action);

                        if (seen[next] || map->cells[next] == 'H')
                                continue;
                        seen[next] = true;
                        frontier[n++] = (uint16_t) next;
                }
        }
        return false;
}

void lake_map_generate(unsigned size, uint64_t seed, struct lake_map *ret)
{
        struct pcg64 pcg;

        assert(size >= LAKE_SIZE_MIN && size <= LAKE_SIZE_MAX);
        pcg64_init(&pcg, seed);
        ret->size = size;
        do {
                /* Generator.choice looks each sample up in the summed probabilities, [0.8, 1.0]. */
                for (unsigned i = 0; i < size * size; i++)
                        ret->cells[i] = pcg64_random(&pcg) < FROZEN_PROBABILITY ? 'F' : 'H';
                ret->cells[0] = 'S';
                ret->cells[size * size - 1] = 'G';
        } while (!goal_reachable(ret));
}

void lake_map_text(const struct lake_map *map, char ret[static LAKE_TEXT_SIZE])
{
        for (unsigned row = 0; row < map->size; row++) {
                memcpy(ret, map->cells + row * map->size, map->size);
                ret += map->size;
                *ret++ = row + 1 < map->size ? '\n' : '\0';
        }
}
