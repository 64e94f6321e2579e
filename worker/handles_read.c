#include "worker/handles.h"

/* The key of a string member. */
static bool key_of(struct json_slice object, enum handle_kind kind, const char *name, char ret[static IPC_KEY_SIZE])
{
        struct json_slice value;

        return object.size > 0 && json_get(object, name, &value) >= 0 && handle_key(kind, value, ret) >= 0;
}

bool handles_of_request(const struct jsonrpc_message *request, char ret[static IPC_KEY_SIZE])
{
        return key_of(request->params, HANDLE_STATE, "requestState", ret);
}

static const struct {
        const char *result_type, *member;
        enum handle_kind kind;
} given[] = {
        { "input_required", "requestState", HANDLE_STATE },
        { "task", "taskId", HANDLE_TASK },
};

void handles_take(struct handles *handles, const struct jsonrpc_message *answer)
{
        struct json_slice type;
        char key[IPC_KEY_SIZE];

        if (answer->result.size == 0 || json_get(answer->result, "resultType", &type) < 0)
                return;
        for (size_t i = 0; i < ELEMENTSOF(given); i++)
                if (json_string_is(type, given[i].result_type) && key_of(answer->result, given[i].kind, given[i].member, key))
                        (void) handles_add(handles, key);
}
