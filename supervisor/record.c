#include "supervisor/record.h"

#include "common/fd.h"
#include "common/json_scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#define RECORD_BYTES_MAX (1024 * 1024)

void record_done(struct record *record)
{
        free(record->labels);
        free(record->config);
        free(record->limits);
        free(record->definition_hash);
        free(record->revive);
        free(record->aliases);
        free(record->user);
        memset(record, 0, sizeof(*record));
}

static void write_member(struct json_writer *w, const char *name, const char *value)
{
        json_writer_text(w, ",\"");
        json_writer_text(w, name);
        json_writer_text(w, "\":");
        json_writer_string(w, value);
}

int record_write(int dir_fd, const struct record *record)
{
        struct json_writer w = { 0 };
        _cleanup_free_ char *text = NULL;
        size_t size = 0;

        json_writer_format(&w, "{\"version\":1,\"kind\":%" PRIu32 ",\"generation\":%" PRIu32, record->kind, record->generation);
        write_member(&w, "id", record->id);
        write_member(&w, "server", record->server);
        write_member(&w, "principal", record->principal);
        write_member(&w, "key", record->key);
        write_member(&w, "token", record->token);
        /* 64-bit numbers as text: a JSON number may come back as a double. */
        json_writer_format(&w, ",\"created_usec\":\"%" PRIu64 "\",\"idle_usec\":\"%" PRIu64 "\",\"lifetime_usec\":\"%" PRIu64 "\"",
                           record->created_usec, record->idle_usec, record->lifetime_usec);
        if (record->has_seed)
                json_writer_format(&w, ",\"seed\":\"%" PRId64 "\"", record->seed);
        if (record->has_uid)
                json_writer_format(&w, ",\"uid\":\"%" PRIu32 "\"%s", record->uid,
                                   record->is_uid_dynamic ? ",\"uid_is\":\"dynamic\"" : "");
        if (record->user)
                write_member(&w, "user", record->user);
        if (record->labels)
                write_member(&w, "labels", record->labels);
        if (record->config)
                write_member(&w, "config", record->config);
        if (record->limits)
                write_member(&w, "limits", record->limits);
        if (record->definition_hash)
                write_member(&w, "definition_hash", record->definition_hash);
        if (record->is_put)
                write_member(&w, "body_digest", record->body_digest);
        if (record->revive)
                write_member(&w, "revive", record->revive);
        if (record->aliases)
                write_member(&w, "aliases", record->aliases);
        if (record->dormant_usec > 0)
                json_writer_format(&w, ",\"dormant_usec\":\"%" PRIu64 "\"", record->dormant_usec);
        json_writer_text(&w, "}\n");

        int r = json_writer_finish(&w, &text, &size);

        return r < 0 ? r : fd_write_file_atomic_at(dir_fd, record->id, text, size, 0600);
}

static const char *member(struct json_object *object, const char *name)
{
        struct json_object *value;

        if (!json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, json_type_string))
                return NULL;
        return json_object_get_string(value);
}

static int copy_member(struct json_object *object, const char *name, char *dst, size_t dst_size)
{
        const char *text = member(object, name);

        return text && str_copy(dst, dst_size, text) >= 0 ? 0 : -EBADMSG;
}

static int dup_member(struct json_object *object, const char *name, char **ret)
{
        const char *text = member(object, name);

        if (text && !(*ret = strdup(text)))
                return -ENOMEM;
        return 0;
}

static int number_member(struct json_object *object, const char *name, uint64_t *ret)
{
        const char *text = member(object, name);
        char *end;

        if (!text || !*text)
                return -EBADMSG;
        errno = 0;
        uint64_t value = strtoull(text, &end, 10);

        if (errno || *end)
                return -EBADMSG;
        *ret = value;
        return 0;
}

static int parse_user(struct json_object *object, struct record *record)
{
        uint64_t uid;

        if (!member(object, "uid"))
                return 0;
        int r = number_member(object, "uid", &uid);

        if (r >= 0 && uid >= UINT32_MAX)
                r = -EBADMSG;
        if (r < 0)
                return r;
        record->has_uid = true;
        record->is_uid_dynamic = member(object, "uid_is") != NULL;
        record->uid = (uint32_t) uid;
        return dup_member(object, "user", &record->user);
}

static int record_parse(struct json_object *object, struct record *record)
{
        struct json_object *number;
        int r = 0;

        if (!json_object_object_get_ex(object, "kind", &number))
                return -EBADMSG;
        record->kind = (uint32_t) json_object_get_int64(number);
        if (!json_object_object_get_ex(object, "generation", &number))
                return -EBADMSG;
        record->generation = (uint32_t) json_object_get_int64(number);

        const struct {
                const char *name;
                char *dst;
                size_t size;
        } texts[] = {
                { "id", record->id, sizeof(record->id) },
                { "server", record->server, sizeof(record->server) },
                { "principal", record->principal, sizeof(record->principal) },
                { "key", record->key, sizeof(record->key) },
                { "token", record->token, sizeof(record->token) },
        };

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(texts); i++)
                r = copy_member(object, texts[i].name, texts[i].dst, texts[i].size);
        if (r >= 0)
                r = number_member(object, "created_usec", &record->created_usec);
        if (r >= 0)
                r = number_member(object, "idle_usec", &record->idle_usec);
        if (r >= 0)
                r = number_member(object, "lifetime_usec", &record->lifetime_usec);
        if (r >= 0)
                r = parse_user(object, record);
        if (r >= 0)
                r = dup_member(object, "labels", &record->labels);
        if (r >= 0)
                r = dup_member(object, "config", &record->config);
        if (r >= 0)
                r = dup_member(object, "limits", &record->limits);
        if (r >= 0)
                r = dup_member(object, "definition_hash", &record->definition_hash);
        if (r >= 0)
                r = dup_member(object, "revive", &record->revive);
        if (r >= 0)
                r = dup_member(object, "aliases", &record->aliases);
        if (r >= 0 && member(object, "dormant_usec"))
                r = number_member(object, "dormant_usec", &record->dormant_usec);
        if (r < 0)
                return r;

        const char *seed = member(object, "seed");

        record->has_seed = seed != NULL;
        record->seed = seed ? strtoll(seed, NULL, 10) : 0;
        record->is_put = copy_member(object, "body_digest", record->body_digest, sizeof(record->body_digest)) >= 0;
        return 0;
}

int record_read(int dir_fd, const char *id, struct record *ret)
{
        _cleanup_free_ char *text = NULL;
        int r = fd_read_file_at(dir_fd, id, RECORD_BYTES_MAX, &text, NULL);

        if (r < 0)
                return r;
        struct json_object *object = json_tokener_parse(text);
        struct record record = { 0 };

        r = object && json_object_is_type(object, json_type_object) ? record_parse(object, &record) : -EBADMSG;
        json_object_put(object);
        if (r >= 0 && !streq(record.id, id))
                r = -EBADMSG;
        if (r < 0) {
                record_done(&record);
                return r;
        }
        *ret = record;
        return 0;
}

int record_remove(int dir_fd, const char *id)
{
        return unlinkat(dir_fd, id, 0) < 0 && errno != ENOENT ? -errno : 0;
}

struct list_walk {
        int (*found)(const char *id, void *userdata);
        void *userdata;
};

/* Names with a dot are halves of an atomic write that a crash left behind. */
static int on_file(const struct dirent *entry, void *userdata)
{
        const struct list_walk *walk = userdata;
        int r = strchr(entry->d_name, '.') ? 0 : walk->found(entry->d_name, walk->userdata);

        return MIN_OF(r, 0);
}

int record_list(int dir_fd, int (*found)(const char *id, void *userdata), void *userdata)
{
        struct list_walk walk = { .found = found, .userdata = userdata };

        return fd_each_entry_at(dir_fd, ".", on_file, &walk);
}
