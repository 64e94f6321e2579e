/* One episode on a frozen lake that is not slippery, by the rules of gymnasium's FrozenLake-v1. */
#pragma once

#include "examples/frozen-lake/lake_map.h"

#define LAKE_STEPS_MAX 100 /* then the episode is truncated */

const char *lake_action_to_string(enum lake_action action);
enum lake_action lake_action_from_string(const char *word);

struct lake_game {
        uint64_t seed;
        struct lake_map map;
        unsigned position;    /* cell, counted row by row */
        unsigned steps;
        double reward;        /* of the last step */
        double total_reward;
        bool terminated;      /* in a hole or at the goal */
        bool truncated;       /* LAKE_STEPS_MAX steps were made */
};

/* A new episode, at the start. */
void lake_game_init(struct lake_game *game, unsigned size, uint64_t seed);

/* Makes a step; at the edge the step counts and leads nowhere. After the episode's end nothing moves. */
void lake_game_move(struct lake_game *game, enum lake_action action);
