/* What a subscriptions/listen asked for (MCP 2026-07-28, "Subscriptions"): notifications that a backend does
 * not tag with the subscription they are for go to those who asked for them. */
#pragma once

#include "common/jsonrpc.h"

#define LISTEN_FILTER_BYTES_MAX (256u * 1024)

struct listen;

/* message is the subscriptions/listen request. -E2BIG: its filter is larger than LISTEN_FILTER_BYTES_MAX. */
int listen_new(const struct jsonrpc_message *message, struct listen **ret);
struct listen *listen_free(struct listen *listen);

/* The acknowledgment, which comes before anything else, has passed. */
void listen_acknowledge(struct listen *listen);

/* Whether the notification, which names no subscription, goes there. */
bool listen_wants(const struct listen *listen, const struct jsonrpc_message *message);

/* Whether it is of a kind that is for listeners alone. */
bool listen_is_news(const struct jsonrpc_message *message);
