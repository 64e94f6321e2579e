#include "router/key.h"

#include "common/handle.h"
#include "common/http/target.h"
#include "common/identity.h"

#include <sys/random.h>

bool key_is_valid(const char *data, size_t size)
{
        if (size == 0 || size >= IPC_KEY_SIZE)
                return false;
        for (size_t i = 0; i < size; i++)
                if (data[i] < 0x21 || data[i] > 0x7e)
                        return false;
        return true;
}

static int key_set(struct request_key *key, enum key_kind kind, struct http_slice value)
{
        if (!key_is_valid(value.data, value.size))
                return -EINVAL;
        key->kind = kind;
        memcpy(key->value, value.data, value.size);
        key->value[value.size] = '\0';
        return 0;
}

static int key_from_path(struct http_slice encoded, struct request_key *key)
{
        char value[IPC_KEY_SIZE];

        if (target_decode(encoded, false, value, sizeof(value)) < 0)
                return -EINVAL;
        return key_set(key, KEY_NAMED, (struct http_slice) { value, strlen(value) });
}

int key_of_request(const struct http_head *head, struct http_slice path_key, const char *session_header,
                   bool is_modern, struct request_key *ret, const char **ret_why)
{
        struct http_slice transport, named;
        int has_transport = is_modern ? -ENOENT : http_head_get(head, "Mcp-Session-Id", &transport);

        ret->kind = 0;
        ret->carries_transport_id = has_transport != -ENOENT;
        if (has_transport == -EEXIST) {
                *ret_why = "Mcp-Session-Id is given twice";
                return -EINVAL;
        }
        if (path_key.data) {
                *ret_why = "the key in the path must be 1 to 256 printable ASCII characters without spaces";
                return key_from_path(path_key, ret);
        }
        int has_named = http_head_get(head, session_header, &named);

        if (has_named != -ENOENT) {
                *ret_why = has_named < 0 ? "the session header is given twice"
                                         : "the session header must be 1 to 256 printable ASCII characters";
                return has_named < 0 ? -EINVAL : key_set(ret, KEY_NAMED, named);
        }
        if (has_transport == 0 && key_set(ret, KEY_TRANSPORT, transport) < 0)
                return -ENOENT;
        return 0;
}

int key_of_meta(const struct server *server, const struct jsonrpc_message *message, struct request_key *ret,
                const char **ret_why)
{
        struct json_slice value;
        char text[IPC_KEY_SIZE];

        if (!server->meta_key[0] || !message->params.size ||
            json_get_path(message->params, &value, "_meta", server->meta_key, NULL) < 0 ||
            json_slice_type(value) != JSON_STRING)
                return -ENOENT;
        ssize_t size = json_string_copy(value, text, sizeof(text));

        *ret_why = "the entry of _meta that names the session must be 1 to 256 printable ASCII characters without spaces";
        return size < 0 ? -EINVAL : key_set(ret, KEY_META, (struct http_slice) { text, (size_t) size });
}

int key_of_client(const struct server *server, struct json_slice client_info, struct request_key *ret)
{
        char identity[IDENTITY_SIZE];

        if (!(server->keys & 1u << KEY_CLIENT) || !client_info.size ||
            identity_from_client_info(client_info, identity) < 0)
                return -ENOENT;
        ret->kind = KEY_CLIENT;
        return STR_COPY(ret->value, identity);
}

int key_of_handle(const struct jsonrpc_message *message, struct request_key *ret)
{
        static const char *const task_methods[] = { "tasks/get", "tasks/update", "tasks/cancel" };
        enum handle_kind kind = HANDLE_STATE;
        struct json_slice text;

        for (size_t i = 0; i < ELEMENTSOF(task_methods); i++)
                if (jsonrpc_method_is(message, task_methods[i]))
                        kind = HANDLE_TASK;
        if (!message->params.size ||
            json_get(message->params, kind == HANDLE_TASK ? "taskId" : "requestState", &text) < 0 ||
            handle_key(kind, text, ret->value) < 0)
                return -ENOENT;
        ret->kind = KEY_HANDLE;
        return 0;
}

const char *key_ways(const struct server *server, const char *session_header, char dst[static KEY_WAYS_SIZE])
{
        bool takes_name = server->keys & 1u << KEY_NAMED, takes_meta = server->meta_key[0];

        if (!takes_name && !takes_meta)
                return NULL;
        (void) snprintf(dst, KEY_WAYS_SIZE, "%s%.64s%s%s%s%s",
                        takes_name ? "by /s/KEY in the path, or by the header " : "", takes_name ? session_header : "",
                        takes_name && takes_meta ? ", or " : "", takes_meta ? "by the string params._meta[\"" : "",
                        server->meta_key, takes_meta ? "\"]" : "");
        return dst;
}

int key_of_nothing(const struct server *server, const char *minted, struct request_key *ret)
{
        if (server->keys & 1u << KEY_SHARED) {
                ret->kind = KEY_SHARED;
                return STR_COPY(ret->value, KEY_SHARED_LEGACY);
        }
        if (!(server->keys & 1u << KEY_TRANSPORT))
                return -ENOKEY;
        ret->kind = KEY_TRANSPORT;
        return STR_COPY(ret->value, minted);
}

int key_mint(char ret[static KEY_MINTED_SIZE])
{
        static const char digits[] = "0123456789abcdef";
        unsigned char random[(KEY_MINTED_SIZE - 1) / 2];

        if (getrandom(random, sizeof(random), 0) != (ssize_t) sizeof(random))
                return -EIO;
        for (size_t i = 0; i < sizeof(random); i++) {
                ret[2 * i] = digits[random[i] >> 4];
                ret[2 * i + 1] = digits[random[i] & 15];
        }
        ret[KEY_MINTED_SIZE - 1] = '\0';
        return 0;
}
