/* The responses to a batch (JSON-RPC 2.0 §6, MCP 2025-03-26), gathered into the one array that answers it. */
#pragma once

#include "common/json_scan.h"

struct batch;

/* Adds a response to *batch, which is made with the first; -ENOMEM; -ENOBUFS: it would hold more than
 * bytes_max. */
int batch_add(struct batch **batch, const char *response, size_t size, size_t bytes_max);

/* The array so far, complete. Nothing is added after it. */
struct json_slice batch_array(struct batch *batch);

struct batch *batch_free(struct batch *batch);
DEFINE_CLEANUP(struct batch, batch_free)
