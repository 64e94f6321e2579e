/* Which stream a message of the backend belongs on. Standard output says nothing about that, but each
 * message is to reach exactly one stream of a client (MCP, Streamable HTTP, "Sending Messages to the
 * Server" and "Listening for Messages from the Server"):
 *
 *   response               the call it answers
 *   progress               the call that carried its token
 *   cancelled              where the request it is about went
 *   list and resource news every client: each is a session of its own; its GET stream first
 *   anything else          the newest call that somebody waits for, else a GET stream, else a backlog
 */
#pragma once

#include "common/jsonrpc.h"
#include "worker/asked.h"
#include "worker/call.h"
#include "worker/client.h"

enum placement_where {
        PLACE_NOWHERE, /* about something that nobody waits for any more */
        PLACE_CALL,    /* call */
        PLACE_CLIENT,  /* client's GET stream, else its backlog; client NULL: nobody is attached yet */
        PLACE_ALL,     /* every client attached; to the backlog when there is none */
};

struct placement {
        enum placement_where where;
        struct call *call;
        struct client *client;
};

struct placement placement_of(const struct jsonrpc_message *message, const struct calls *calls,
                              const struct clients *clients, const struct asked_list *asked);

/* The newest call of client (NULL: of anyone) on whose stream unrelated messages may go. An
 * `initialize` takes nothing but the requests that its server cannot go on without. */
struct call *placement_newest_call(const struct calls *calls, const struct client *client, bool for_request);
