/* The id of a JSON-RPC message that passes by, however long it is and however it is cut: found without keeping
 * more than the id. */
#pragma once

#include "common/json_scan.h"

#define ID_SCAN_BYTES_MAX 1024u /* a longer id stays unknown */

/* Starts as all zeroes. */
struct id_scan {
        size_t depth;
        char name[8];        /* the member's at depth 1, as far as it fits */
        size_t name_bytes;
        char id[ID_SCAN_BYTES_MAX];
        size_t id_bytes;
        bool in_string, is_escaped;
        bool in_value;       /* at depth 1: behind the colon */
        bool is_id;          /* …of the member "id" */
        bool has_method, has_id;
        bool is_object;      /* the outermost value is one */
        bool is_ambiguous;   /* a member came twice */
        bool is_complete;    /* the outermost value has ended */
};

void id_scan_feed(struct id_scan *scan, const char *bytes, size_t size);

/* The id of a request, in memory of scan, once all of it was fed. False when it is no request, or its id cannot be
 * told. */
bool id_scan_result(const struct id_scan *scan, struct json_slice *ret);

/* The same of a response. */
bool id_scan_response(const struct id_scan *scan, struct json_slice *ret);

/* All of it was fed, and it is a notification. */
bool id_scan_is_notification(const struct id_scan *scan);
