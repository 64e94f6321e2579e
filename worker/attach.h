/* A client comes to a session: the server's attach policy, room among the others, and the keys by which
 * it is found from then on. */
#pragma once

#include "common/reason.h"

struct client;
struct stdio;

/* After its initialize, by the server's policy. The word for Envmux-Attach, or NULL with the reason of the
 * refusal; the client is then still the caller's. The supervisor hears of the new keys first. */
const char *attach_initialized(struct stdio *stdio, struct client *client, enum reason *ret_reason);

/* Whatever the policy is: the session's key itself says that the client belongs here. -ENOSPC: there is no
 * room, since every client is in the middle of something. */
int attach_known(struct stdio *stdio, struct client *client);
