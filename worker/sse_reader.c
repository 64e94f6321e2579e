#include "worker/sse_reader.h"

static bool is_word(const char *bytes, size_t size, const char *word)
{
        return size == strlen(word) && memcmp(bytes, word, size) == 0;
}

static void field_begin(struct sse_reader *reader)
{
        reader->in_value = reader->after_colon = true;
        reader->field = is_word(reader->name, reader->name_bytes, "event")  ? SSE_EVENT
                        : is_word(reader->name, reader->name_bytes, "data") ? SSE_DATA
                                                                            : SSE_OTHER;
        if (reader->field == SSE_OTHER || !reader->is_over)
                return;
        reader->is_over = false;
        reader->event_bytes = 0;
        reader->scan = (struct id_scan) { 0 };
        if (!reader->has_endpoint)
                reader->uri_bytes = 0;
}

/* Keeps what fits; a count beyond the room says that it did not. */
static void keep(char *room, size_t room_bytes, size_t *used, const char *bytes, size_t size)
{
        if (*used < room_bytes)
                memcpy(room + *used, bytes, MIN_OF(size, room_bytes - *used));
        *used += size;
}

static void value_bytes(struct sse_reader *reader, const char *bytes, size_t size)
{
        if (reader->after_colon && bytes[0] == ' ') {
                bytes++;
                size--;
        }
        reader->after_colon = false;
        if (reader->field == SSE_EVENT)
                keep(reader->event, sizeof(reader->event), &reader->event_bytes, bytes, size);
        else if (reader->field == SSE_DATA && !reader->has_endpoint)
                keep(reader->uri, sizeof(reader->uri), &reader->uri_bytes, bytes, size);
        else if (reader->field == SSE_DATA)
                id_scan_feed(&reader->scan, bytes, size);
}

static enum sse_found event_end(struct sse_reader *reader)
{
        bool was_over = reader->is_over;
        struct json_slice id;

        reader->is_over = true;
        if (was_over)
                return SSE_NOTHING;
        if (reader->has_endpoint)
                return id_scan_response(&reader->scan, &id) ? SSE_RESPONSE : SSE_NOTHING;
        if (reader->event_bytes >= sizeof(reader->event) || !is_word(reader->event, reader->event_bytes, "endpoint") ||
            reader->uri_bytes >= sizeof(reader->uri))
                return SSE_NOTHING;
        reader->uri[reader->uri_bytes] = '\0';
        reader->has_endpoint = true;
        return SSE_ENDPOINT;
}

static enum sse_found line_end(struct sse_reader *reader)
{
        bool is_blank = reader->line_bytes == 0;

        reader->name_bytes = reader->line_bytes = 0;
        reader->in_value = false;
        return is_blank ? event_end(reader) : SSE_NOTHING;
}

/* Bytes inside of one line; how many were taken. */
static size_t line_bytes(struct sse_reader *reader, const char *bytes, size_t size)
{
        size_t n = 0;

        while (n < size && bytes[n] != '\n' && bytes[n] != '\r')
                n++;
        reader->line_bytes += n;
        size_t name = 0;

        for (; !reader->in_value && name < n; name++)
                if (bytes[name] == ':')
                        field_begin(reader);
                else
                        keep(reader->name, sizeof(reader->name), &reader->name_bytes, bytes + name, 1);
        if (name < n)
                value_bytes(reader, bytes + name, n - name);
        return n;
}

size_t sse_reader_feed(struct sse_reader *reader, const char *bytes, size_t size, enum sse_found *ret_found)
{
        enum sse_found found = SSE_NOTHING;
        size_t i = 0;

        while (i < size && found == SSE_NOTHING) {
                char byte = bytes[i];

                if (byte == '\n' && reader->after_cr) {
                        reader->after_cr = false;
                        i++;
                        continue;
                }
                reader->after_cr = byte == '\r';
                if (byte == '\n' || byte == '\r') {
                        found = line_end(reader);
                        i++;
                } else {
                        i += line_bytes(reader, bytes + i, size - i);
                }
        }
        *ret_found = found;
        return i;
}

struct json_slice sse_reader_id(const struct sse_reader *reader)
{
        struct json_slice id = { 0 };

        (void) id_scan_response(&reader->scan, &id);
        return id;
}
