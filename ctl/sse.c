#include "ctl/sse.h"

static void take_field(struct sse *sse)
{
        const char *line = sse->line.data;
        size_t size = sse->line.size;

        if (size < 5 || memcmp(line, "data:", 5) != 0)
                return;
        line += 5;
        size -= 5;
        if (size > 0 && line[0] == ' ') {
                line++;
                size--;
        }
        if (sse->data.size > 0)
                json_writer_raw(&sse->data, "\n", 1);
        json_writer_raw(&sse->data, line, size);
}

/* A line is complete; an empty one ends the event. */
static bool end_line(struct sse *sse, bool (*on_event)(const char *data, size_t size, void *userdata), void *userdata)
{
        bool is_enough = false;

        if (sse->line.size > 0) {
                take_field(sse);
        } else if (sse->data.size > 0) {
                is_enough = on_event(sse->data.data, sse->data.size, userdata);
                sse->data.size = 0;
        }
        sse->line.size = 0;
        return is_enough;
}

int sse_feed(struct sse *sse, const char *bytes, size_t size,
             bool (*on_event)(const char *data, size_t size, void *userdata), void *userdata)
{
        for (size_t i = 0; i < size; i++) {
                bool is_second = bytes[i] == '\n' && sse->after_cr;
                size_t n = i;

                sse->after_cr = bytes[i] == '\r';
                if (is_second)
                        continue;
                while (n < size && bytes[n] != '\n' && bytes[n] != '\r')
                        n++;
                json_writer_raw(&sse->line, bytes + i, n - i);
                if (sse->line.failed || sse->data.failed)
                        return -ENOMEM;
                if (sse->line.size + sse->data.size > SSE_EVENT_MAX)
                        return -EFBIG;
                if (n == size)
                        break;
                sse->after_cr = bytes[n] == '\r';
                i = n;
                if (end_line(sse, on_event, userdata))
                        return true;
        }
        return false;
}

void sse_done(struct sse *sse)
{
        json_writer_done(&sse->line);
        json_writer_done(&sse->data);
}
