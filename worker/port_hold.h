/* A TCP port that stays ours until the backend listens on it.
 *
 * The port is bound with SO_REUSEADDR and never listened on: bind(0) hands it to nobody else, while
 * a server that sets SO_REUSEADDR itself (Node, Python's asyncio, Go) may bind and listen on it. One
 * that does not set it gets EADDRINUSE: then the hold is released and the backend started once more. */
#pragma once

#include "common/macro.h"

struct port_hold {
        int fd;        /* -1: released */
        uint16_t port;
};

/* Holds a free port of 127.0.0.1. */
int port_hold_init(struct port_hold *ret);

/* Lets go of it: from here on anybody may bind the port. */
void port_hold_release(struct port_hold *hold);
