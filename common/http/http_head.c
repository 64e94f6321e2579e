#include "common/http/http_check.h"

static unsigned char lower(char byte)
{
        return (unsigned char) (byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
}

bool http_slice_is(struct http_slice slice, const char *word)
{
        return strlen(word) == slice.size && memcmp(slice.data, word, slice.size) == 0;
}

bool http_slice_equal_nocase(struct http_slice a, struct http_slice b)
{
        if (a.size != b.size)
                return false;
        for (size_t i = 0; i < a.size; i++)
                if (a.data[i] != b.data[i] && lower(a.data[i]) != lower(b.data[i]))
                        return false;
        return true;
}

bool http_slice_is_nocase(struct http_slice slice, const char *word)
{
        return http_slice_equal_nocase(slice, (struct http_slice) { word, strlen(word) });
}

int http_head_get(const struct http_head *head, const char *name, struct http_slice *ret)
{
        const struct http_header *found = NULL;
        struct http_slice wanted = { name, strlen(name) };

        for (size_t i = 0; i < head->n_headers; i++) {
                if (!http_slice_equal_nocase(head->headers[i].name, wanted))
                        continue;
                if (found)
                        return -EEXIST;
                found = &head->headers[i];
        }
        if (!found)
                return -ENOENT;
        *ret = found->value;
        return 0;
}

static bool is_blank(char byte)
{
        return byte == ' ' || byte == '\t';
}

static struct http_slice slice_trim(struct http_slice slice)
{
        while (slice.size > 0 && is_blank(slice.data[0])) {
                slice.data++;
                slice.size--;
        }
        while (slice.size > 0 && is_blank(slice.data[slice.size - 1]))
                slice.size--;
        return slice;
}

/* The size of the list's first element; a comma inside a quoted string does not end it. */
static size_t element_size(struct http_slice list)
{
        bool quoted = false;
        size_t i = 0;

        for (; i < list.size && (quoted || list.data[i] != ','); i++) {
                if (list.data[i] == '"')
                        quoted = !quoted;
                else if (quoted && list.data[i] == '\\' && i + 1 < list.size)
                        i++;
        }
        return i;
}

bool http_list_next(struct http_slice *list, struct http_slice *ret_element)
{
        while (list->size > 0) {
                struct http_slice element = { list->data, element_size(*list) };
                size_t used = MIN_OF(element.size + 1, list->size);

                list->data += used;
                list->size -= used;
                const char *semicolon = memchr(element.data, ';', element.size);

                if (semicolon)
                        element.size = (size_t) (semicolon - element.data);
                element = slice_trim(element);
                if (element.size > 0) {
                        *ret_element = element;
                        return true;
                }
        }
        return false;
}

bool http_head_lists(const struct http_head *head, const char *name, const char *token)
{
        struct http_slice wanted = { name, strlen(name) }, element;

        for (size_t i = 0; i < head->n_headers; i++) {
                if (!http_slice_equal_nocase(head->headers[i].name, wanted))
                        continue;
                struct http_slice list = head->headers[i].value;

                while (http_list_next(&list, &element))
                        if (http_slice_is_nocase(element, token))
                                return true;
        }
        return false;
}

static bool connection_names(const struct http_head *head, struct http_slice name)
{
        struct http_slice element;

        for (size_t i = 0; i < head->n_headers; i++) {
                if (!http_slice_is_nocase(head->headers[i].name, "Connection"))
                        continue;
                struct http_slice list = head->headers[i].value;

                while (http_list_next(&list, &element))
                        if (http_slice_equal_nocase(element, name))
                                return true;
        }
        return false;
}

bool http_head_is_hop_by_hop(const struct http_head *head, const struct http_header *header)
{
        return header->is_hop_by_hop || (head->connection_names_headers && connection_names(head, header->name));
}
