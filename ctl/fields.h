/* Members of the JSON objects that the daemon answers with, and values as people read them. */
#pragma once

#include "common/time_util.h"

#include <stdbool.h>
#include <stddef.h>

struct json_object;

/* NULL, fallback or false where the member is absent or of another type. */
const char *field_string(struct json_object *object, const char *name);
int64_t field_int(struct json_object *object, const char *name, int64_t fallback);
bool field_bool(struct json_object *object, const char *name);
struct json_object *field_object(struct json_object *object, const char *name);
/* An array, or NULL; with the number of its elements. */
struct json_object *field_array(struct json_object *object, const char *name, size_t *ret_n);

#define HUMAN_SIZE 32

/* "850ms", "42s", "12m", "3h05m", "2d04h". */
const char *human_duration(usec_t usec, char buffer[static HUMAN_SIZE]);
/* "0", "812", "3.4K", "1.2M". */
const char *human_bytes(uint64_t bytes, char buffer[static HUMAN_SIZE]);
