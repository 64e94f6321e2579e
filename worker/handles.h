/* What a session of a single request has given out to be found again (common/handle.h): keys of kind
 * KEY_HANDLE that lead to it. While there are any it lives on after its answer. Bounded; the oldest are
 * forgotten first. */
#pragma once

#include "common/handle.h"
#include "common/jsonrpc.h"

#define HANDLES_MAX 64u

struct handles;

/* on_change: key leads here from now on, or (is_removed) no longer does. */
typedef void (*handles_fn)(const char *key, bool is_removed, void *userdata);

int handles_new(handles_fn on_change, void *userdata, struct handles **ret);
struct handles *handles_free(struct handles *handles);

/* Adds a key; one that is there already becomes the newest. */
int handles_add(struct handles *handles, const char *key);
void handles_remove(struct handles *handles, const char *key);

/* Calls fn for each, the oldest first. */
void handles_each(const struct handles *handles, handles_fn fn, void *userdata);
unsigned handles_count(const struct handles *handles);

/* ---- handles_read.c: where they stand in messages ---- */

/* The key of the state that a request brings back (params.requestState); false without one. */
bool handles_of_request(const struct jsonrpc_message *request, char ret[static IPC_KEY_SIZE]);

/* Adds what an answer gives out: the requestState of an unfinished result, the taskId of a task. */
void handles_take(struct handles *handles, const struct jsonrpc_message *answer);
