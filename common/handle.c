#include "common/handle.h"

#include <sha2.h>

int handle_key(enum handle_kind kind, struct json_slice text, char ret[static IPC_KEY_SIZE])
{
        static const char *const prefixes[] = { [HANDLE_STATE] = "state.", [HANDLE_TASK] = "task." };
        size_t prefix_size = strlen(prefixes[kind]), cursor = 0;
        bool is_empty = true;
        uint32_t character;
        SHA2_CTX context;

        static_assert(IPC_KEY_SIZE > SHA256_DIGEST_STRING_LENGTH + 8, "a handle's key must fit");
        if (text.size == 0 || json_slice_type(text) != JSON_STRING)
                return -EINVAL;
        SHA256Init(&context);
        while (json_string_next(text, &cursor, &character) > 0) {
                SHA256Update(&context, (const uint8_t *) &character, sizeof(character));
                is_empty = false;
        }
        if (is_empty)
                return -EINVAL;
        memcpy(ret, prefixes[kind], prefix_size);
        SHA256End(&context, ret + prefix_size);
        return 0;
}
