#include "worker/id_scan.h"

static void name_end(struct id_scan *scan)
{
        bool is_method = scan->name_bytes == 6 && memcmp(scan->name, "method", 6) == 0;

        scan->in_value = true;
        scan->is_id = scan->name_bytes == 2 && memcmp(scan->name, "id", 2) == 0;
        scan->is_ambiguous |= (scan->is_id && scan->has_id) || (is_method && scan->has_method);
        scan->has_id |= scan->is_id;
        scan->has_method |= is_method;
}

static void member_begin(struct id_scan *scan)
{
        scan->in_value = scan->is_id = false;
        scan->name_bytes = 0;
}

static void keep(struct id_scan *scan, char byte)
{
        if (scan->depth == 1 && scan->is_id) {
                if (scan->id_bytes < sizeof(scan->id))
                        scan->id[scan->id_bytes] = byte;
                scan->id_bytes++;
        } else if (scan->depth == 1 && scan->in_string && !scan->in_value) {
                if (scan->name_bytes < sizeof(scan->name))
                        scan->name[scan->name_bytes] = byte;
                scan->name_bytes++;
        }
}

static void string_byte(struct id_scan *scan, char byte)
{
        bool is_end = byte == '"' && !scan->is_escaped;

        if (!is_end || scan->is_id)
                keep(scan, byte);
        scan->is_escaped = byte == '\\' && !scan->is_escaped;
        scan->in_string = !is_end;
}

static void structure_byte(struct id_scan *scan, char byte)
{
        switch (byte) {
        case '{':
        case '[':
                if (scan->depth++ == 0)
                        scan->is_object = byte == '{';
                break;
        case '}':
        case ']':
                scan->is_complete = scan->depth <= 1;
                scan->depth -= scan->depth > 0;
                break;
        case ',':
                if (scan->depth == 1)
                        member_begin(scan);
                break;
        case ':':
                if (scan->depth == 1)
                        name_end(scan);
                break;
        default:
                keep(scan, byte);
                scan->in_string = byte == '"';
        }
}

void id_scan_feed(struct id_scan *scan, const char *bytes, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (scan->in_string)
                        string_byte(scan, bytes[i]);
                else
                        structure_byte(scan, bytes[i]);
}

/* The id of a whole message, whatever it is. */
static bool message_id(const struct id_scan *scan, struct json_slice *ret)
{
        struct json_slice id;

        if (!scan->is_object || !scan->is_complete || scan->is_ambiguous || scan->id_bytes == 0 ||
            scan->id_bytes > sizeof(scan->id) || json_validate(scan->id, scan->id_bytes, &id) < 0)
                return false;
        if (json_slice_type(id) != JSON_STRING && json_slice_type(id) != JSON_NUMBER)
                return false;
        *ret = id;
        return true;
}

bool id_scan_result(const struct id_scan *scan, struct json_slice *ret)
{
        return scan->has_method && message_id(scan, ret);
}

bool id_scan_response(const struct id_scan *scan, struct json_slice *ret)
{
        return !scan->has_method && message_id(scan, ret);
}

bool id_scan_is_notification(const struct id_scan *scan)
{
        return scan->is_object && scan->is_complete && scan->has_method && !scan->has_id;
}
