/* Passing a request to its worker and the answer back, byte for byte, with backpressure both ways. */
#pragma once

#include "router/exchange.h"

/* Connects to the worker of session_id and sends what is there of the request. */
void forward_start(struct exchange *e, const char *session_id);

void forward_body(struct exchange *e, const void *data, size_t size);
void forward_end(struct exchange *e);

/* Cuts an answer off that cannot be completed; an event stream gets the failure as its last event. */
void forward_break(struct exchange *e, const struct failure *failure);
