/* What a session's backend uses, and its limits, from the object that List and Show answer with. */
#pragma once

#include "ctl/fields.h"

/* Cells of a table; NULL where it is not known. */
const char *usage_memory(struct json_object *session, char buffer[static HUMAN_SIZE]);
const char *usage_memory_peak(struct json_object *session, char buffer[static HUMAN_SIZE]);
const char *usage_cpu(struct json_object *session, char buffer[static HUMAN_SIZE]);
const char *usage_tasks(struct json_object *session, char buffer[static HUMAN_SIZE]);
/* The most that it waited for anything, in percent of the last ten seconds. */
const char *usage_pressure(struct json_object *session, char buffer[static HUMAN_SIZE]);

/* Microseconds of CPU time, -1: not known. */
int64_t usage_cpu_usec(struct json_object *session);

/* Lines for people, each with its label right-aligned in label_width columns. */
void usage_print(struct json_object *session, int label_width);
