#include "common/event_reader.h"

static void take_field(struct event_reader *reader)
{
        const char *line = reader->line.data;
        size_t size = reader->line.size;

        if (size < 5 || memcmp(line, "data:", 5) != 0)
                return;
        line += 5;
        size -= 5;
        if (size > 0 && line[0] == ' ') {
                line++;
                size--;
        }
        if (reader->data.size > 0)
                json_writer_raw(&reader->data, "\n", 1);
        json_writer_raw(&reader->data, line, size);
}

/* A line is complete; an empty one ends the event. */
static bool end_line(struct event_reader *reader,
                     bool (*on_event)(const char *data, size_t size, void *userdata), void *userdata)
{
        bool is_enough = false;

        if (reader->line.size > 0) {
                take_field(reader);
        } else if (reader->data.size > 0) {
                is_enough = on_event(reader->data.data, reader->data.size, userdata);
                reader->data.size = 0;
        }
        reader->line.size = 0;
        return is_enough;
}

int event_reader_feed(struct event_reader *reader, const char *bytes, size_t size,
                      bool (*on_event)(const char *data, size_t size, void *userdata), void *userdata)
{
        for (size_t i = 0; i < size; i++) {
                bool is_second = bytes[i] == '\n' && reader->after_cr;
                size_t n = i;

                reader->after_cr = bytes[i] == '\r';
                if (is_second)
                        continue;
                while (n < size && bytes[n] != '\n' && bytes[n] != '\r')
                        n++;
                json_writer_raw(&reader->line, bytes + i, n - i);
                if (reader->line.failed || reader->data.failed)
                        return -ENOMEM;
                if (reader->line.size + reader->data.size > EVENT_READER_BYTES_MAX)
                        return -EFBIG;
                if (n == size)
                        break;
                reader->after_cr = bytes[n] == '\r';
                i = n;
                if (end_line(reader, on_event, userdata))
                        return true;
        }
        return false;
}

void event_reader_done(struct event_reader *reader)
{
        json_writer_done(&reader->line);
        json_writer_done(&reader->data);
}
