#include "worker/tool_list.h"

struct tool {
        STAILQ_ENTRY(tool) entry;
        struct json_slice name, schema; /* both in text */
        char text[];
};

void tool_list_init(struct tool_list *list)
{
        *list = (struct tool_list) { 0 };
        STAILQ_INIT(&list->tools);
}

void tool_list_clear(struct tool_list *list)
{
        struct tool *tool;

        while ((tool = STAILQ_FIRST(&list->tools))) {
                STAILQ_REMOVE_HEAD(&list->tools, entry);
                free(tool);
        }
        tool_list_init(list);
}

static void add(struct tool_list *list, struct json_slice name, struct json_slice schema)
{
        size_t size = name.size + schema.size;
        struct tool *tool = list->n < TOOL_LIST_MAX && list->bytes + size <= TOOL_LIST_BYTES_MAX
                ? malloc(sizeof(*tool) + size) : NULL;

        if (!tool) {
                list->is_cut = true;
                return;
        }
        memcpy(tool->text, name.data, name.size);
        tool->name = (struct json_slice) { .data = tool->text, .size = name.size };
        if (schema.size > 0)
                memcpy(tool->text + name.size, schema.data, schema.size);
        tool->schema = (struct json_slice) { .data = tool->text + name.size, .size = schema.size };
        STAILQ_INSERT_TAIL(&list->tools, tool, entry);
        list->n++;
        list->bytes += size;
}

void tool_list_add(struct tool_list *list, struct json_slice tools)
{
        struct json_slice tool, name, schema;

        if (json_slice_type(tools) != JSON_ARRAY)
                return;
        for (size_t cursor = 0; json_next(tools, &cursor, NULL, &tool) > 0;) {
                if (json_get(tool, "name", &name) < 0 || json_slice_type(name) != JSON_STRING)
                        continue;
                if (json_get(tool, "inputSchema", &schema) < 0 || !memmem(schema.data, schema.size, "x-mcp-header", 12))
                        schema.size = 0;
                add(list, name, schema);
        }
}

int tool_list_find(const struct tool_list *list, struct json_slice name, struct json_slice *ret_schema)
{
        const struct tool *tool;

        STAILQ_FOREACH(tool, &list->tools, entry)
                if (json_string_compare(tool->name, name) == 0) {
                        *ret_schema = tool->schema;
                        return 0;
                }
        return -ENOENT;
}
