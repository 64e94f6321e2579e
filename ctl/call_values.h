/* The words name=value of a command line as the arguments object of a tool call. */
#pragma once

#include "common/json_scan.h"
#include "ctl/ctl.h"

/* Appends the object. schema is the tool's inputSchema (size 0: unknown): a property of type string takes
 * the text as it is, one of another single type must be JSON of that type, and where the schema says
 * nothing simple the value is JSON if it parses as JSON, else a string. Returns CTL_OK, or CTL_USAGE
 * after saying what is wrong. */
int call_values_write(char *const *words, int n_words, struct json_slice schema, struct json_writer *writer);
