#include "worker/event_tail.h"

static bool line_has_id(const struct event_tail *tail)
{
        const char *start = tail->line_start;

        return start[0] == 'i' && start[1] == 'd' && (tail->line_bytes == 2 || start[2] == ':');
}

static void line_end(struct event_tail *tail)
{
        if (tail->line_bytes == 0)
                tail->has_fields = false;
        else if (tail->line_bytes >= 2 && line_has_id(tail))
                tail->has_ids = true;
        tail->line_bytes = 0;
}

static void line_byte(struct event_tail *tail, char byte)
{
        if (tail->line_bytes == 0 && byte != ':')
                tail->has_fields = true;
        if (tail->line_bytes < sizeof(tail->line_start))
                tail->line_start[tail->line_bytes] = byte;
        tail->line_bytes++;
}

size_t event_tail_feed(struct event_tail *tail, const char *bytes, size_t size)
{
        size_t whole = 0;

        for (size_t i = 0; i < size; i++) {
                bool is_second = bytes[i] == '\n' && tail->after_cr;

                tail->after_cr = bytes[i] == '\r';
                if (bytes[i] != '\n' && bytes[i] != '\r')
                        line_byte(tail, bytes[i]);
                else if (!is_second)
                        line_end(tail);
                if (tail->line_bytes == 0 && !tail->has_fields)
                        whole = i + 1;
        }
        return whole;
}
