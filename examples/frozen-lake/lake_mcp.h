/* The frozen lake as an MCP server. What a move shows (tool lake_move) and what it earned (resources
 * control://…) are kept apart: the player of the game sees the first, its trainer reads the second. */
#pragma once

#include "examples/frozen-lake/lake_game.h"
#include "examples/frozen-lake/mcp_stdio.h"

struct lake_mcp {
        bool has_seed, has_size; /* given on the command line: then the client has no say */
        uint64_t seed;
        unsigned size;
        struct lake_game game;
};

/* Ready for mcp_stdio_run; refers to lake. */
struct mcp_server lake_mcp_server(struct lake_mcp *lake);
