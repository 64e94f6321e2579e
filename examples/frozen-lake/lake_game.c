#include "examples/frozen-lake/lake_game.h"

static const char *const action_names[LAKE_ACTION__MAX] = {
        [LAKE_LEFT] = "LEFT",
        [LAKE_DOWN] = "DOWN",
        [LAKE_RIGHT] = "RIGHT",
        [LAKE_UP] = "UP",
};

const char *lake_action_to_string(enum lake_action action)
{
        return action >= 0 && action < LAKE_ACTION__MAX ? action_names[action] : NULL;
}

enum lake_action lake_action_from_string(const char *word)
{
        for (int i = 0; i < LAKE_ACTION__MAX; i++)
                if (streq(action_names[i], word))
                        return (enum lake_action) i;
        return LAKE_ACTION__INVALID;
}

void lake_game_init(struct lake_game *game, unsigned size, uint64_t seed)
{
        *game = (struct lake_game) { .seed = seed };
        lake_map_generate(size, seed, &game->map);
}

void lake_game_move(struct lake_game *game, enum lake_action action)
{
        if (game->terminated || game->truncated)
                return;
        game->position = lake_map_neighbour(&game->map, game->position, action);
        char cell = game->map.cells[game->position];

        game->steps++;
        game->reward = cell == 'G' ? 1.0 : 0.0;
        game->total_reward += game->reward;
        game->terminated = cell == 'G' || cell == 'H';
        game->truncated = game->steps >= LAKE_STEPS_MAX;
}
