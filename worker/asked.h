/* Requests that the backend sent to a client and that were not answered yet: where a later word about
 * one of them (notifications/cancelled) has to go. Bounded; the oldest are forgotten first. */
#pragma once

#include "worker/call.h"

#define ASKED_MAX 256u

struct asked_list;

int asked_new(struct asked_list **ret);
struct asked_list *asked_free(struct asked_list *list);

/* The backend asked under id. call_serial: on that call's stream, 0: on client's GET stream (or its
 * backlog). client is not dereferenced. Without memory, or of an id longer than TOKEN_BYTES_MAX, nothing is
 * remembered. */
void asked_add(struct asked_list *list, struct json_slice id, uint64_t call_serial, const struct client *client);

/* Where it went: true with both outputs. */
bool asked_find(const struct asked_list *list, struct json_slice id, uint64_t *ret_call_serial,
                const struct client **ret_client);

/* It was answered, or its client has left. */
void asked_remove(struct asked_list *list, struct json_slice id);
void asked_forget_client(struct asked_list *list, const struct client *client);
