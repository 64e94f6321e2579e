/* The tools of a backend, as tools/list told them: which of them want arguments repeated in headers. Bounded:
 * of a longer list the rest is not known. */
#pragma once

#include "common/json_scan.h"

#include <sys/queue.h>

#define TOOL_LIST_MAX 4096u
#define TOOL_LIST_BYTES_MAX (1024u * 1024)

struct tool;

/* Starts with tool_list_init. */
struct tool_list {
        STAILQ_HEAD(, tool) tools;
        size_t n, bytes;
        bool is_cut; /* something did not fit */
};

void tool_list_init(struct tool_list *list);
void tool_list_clear(struct tool_list *list);

/* Adds what one page told: the array `tools` of a result. */
void tool_list_add(struct tool_list *list, struct json_slice tools);

/* By its name, a JSON string: -ENOENT, or 0 with its inputSchema, size 0: nothing in it is to be repeated. */
int tool_list_find(const struct tool_list *list, struct json_slice name, struct json_slice *ret_schema);
