/* What a backend gives out so that a later stateless request comes back to it: the requestState of an
 * unfinished answer (MCP 2026-07-28, "Multi-round-trip requests") and task ids (tasks extension). A
 * session of kind KEY_REQUEST is reached again by them, as aliases of kind KEY_HANDLE. */
#pragma once

#include "common/ipc.h"
#include "common/json_scan.h"

enum handle_kind {
        HANDLE_STATE, /* requestState */
        HANDLE_TASK,  /* taskId */
};

/* The key of a handle, from its JSON string: equal texts give equal keys however they are escaped.
 * -EINVAL: not a string, or an empty one. */
int handle_key(enum handle_kind kind, struct json_slice text, char ret[static IPC_KEY_SIZE]);
