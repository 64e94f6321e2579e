#include "supervisor/config_texts.h"

#include "common/fd.h"

#include <fcntl.h>

#include <json-c/json.h>

#define FILE_SIZE_MAX (64 * 1024 * 1024)

struct config_texts {
        struct json_object *files; /* path: {"text", with "folder" for the configuration's own}, in order */
        bool is_recalled;
};

int config_texts_new(struct config_texts **ret)
{
        _cleanup_(config_texts_freep) struct config_texts *texts = calloc(1, sizeof(*texts));

        if (!texts || !(texts->files = json_object_new_object()))
                return -ENOMEM;
        *ret = TAKE_PTR(texts);
        return 0;
}

struct config_texts *config_texts_free(struct config_texts *texts)
{
        if (!texts)
                return NULL;
        json_object_put(texts->files);
        free(texts);
        return NULL;
}

static struct json_object *string_of(struct json_object *file, const char *name)
{
        struct json_object *value;

        return json_object_object_get_ex(file, name, &value) && json_object_is_type(value, json_type_string) ? value
                                                                                                             : NULL;
}

/* Takes value in every case. */
static int add_member(struct json_object *object, const char *name, struct json_object *value)
{
        if (value && json_object_object_add(object, name, value) == 0)
                return 0;
        json_object_put(value);
        return -ENOMEM;
}

static int remember(struct config_texts *texts, const char *path, const char *text, size_t size)
{
        struct json_object *file = json_object_new_object();
        int r = file ? add_member(file, "text", json_object_new_string_len(text, (int) size)) : -ENOMEM;

        if (r < 0) {
                json_object_put(file);
                return r;
        }
        return add_member(texts->files, path, file);
}

static int copy_text(struct json_object *file, char **ret, size_t *ret_size)
{
        struct json_object *text = string_of(file, "text");

        if (!text)
                return -EBADMSG;

        size_t size = (size_t) json_object_get_string_len(text);

        *ret = malloc(size + 1);
        if (!*ret)
                return -ENOMEM;
        memcpy(*ret, json_object_get_string(text), size + 1);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int config_texts_read(struct config_texts *texts, const char *path, size_t size_max, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *text = NULL;
        struct json_object *file;
        size_t size;

        if (texts->is_recalled)
                return json_object_object_get_ex(texts->files, path, &file) ? copy_text(file, ret, ret_size) : -ENOENT;

        int r = fd_read_file_at(AT_FDCWD, path, size_max, &text, &size);

        /* One that another one refers to as well is remembered already, with its folder. */
        if (r >= 0 && !json_object_object_get_ex(texts->files, path, NULL))
                r = remember(texts, path, text, size);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int config_texts_folder(struct config_texts *texts, const char *path, char **ret)
{
        struct json_object *file = NULL, *folder;

        (void) json_object_object_get_ex(texts->files, path, &file);
        folder = string_of(file, "folder");
        if (folder) {
                *ret = strdup(json_object_get_string(folder));
                return *ret ? 0 : -ENOMEM;
        }

        _cleanup_free_ char *absolute = texts->is_recalled || !file ? NULL : realpath(path, NULL);

        if (!absolute)
                return texts->is_recalled || !file ? -ENOENT : -errno;
        *strrchr(absolute, '/') = '\0';

        int r = add_member(file, "folder", json_object_new_string(absolute));

        if (r >= 0)
                *ret = TAKE_PTR(absolute);
        return r;
}

const char *config_texts_next(const struct config_texts *texts, size_t *cursor)
{
        size_t i = 0;

        json_object_object_foreach(texts->files, path, file) {
                if (i++ < *cursor)
                        continue;
                *cursor = i;
                if (string_of(file, "folder"))
                        return path;
        }
        return NULL;
}

int config_texts_write(const struct config_texts *texts, const char *path)
{
        size_t size;
        const char *text = json_object_to_json_string_length(texts->files, JSON_C_TO_STRING_PLAIN, &size);

        if (!text)
                return -ENOMEM;
        return size > FILE_SIZE_MAX ? -EFBIG : fd_write_file_atomic_at(AT_FDCWD, path, text, size, 0600);
}

int config_texts_recall(const char *path, struct config_texts **ret)
{
        _cleanup_(config_texts_freep) struct config_texts *texts = NULL;
        _cleanup_free_ char *text = NULL;
        int r = fd_read_file_at(AT_FDCWD, path, FILE_SIZE_MAX, &text, NULL);

        if (r < 0)
                return r;
        texts = calloc(1, sizeof(*texts));
        if (!texts)
                return -ENOMEM;
        texts->is_recalled = true;
        texts->files = json_tokener_parse(text);
        if (!json_object_is_type(texts->files, json_type_object))
                return -EBADMSG;
        *ret = TAKE_PTR(texts);
        return 0;
}
