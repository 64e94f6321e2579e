/* What a request hears that comes in after its session failed and before every router knows. Whoever
 * was using the session is told why it ended; whoever would begin with it is told GONE, so that the
 * router asks again. A failed start is told to everybody: asking again would only start once more. */
#pragma once

#include "worker/worker.h"

struct farewell;

/* For each exchange, in place of the endpoint's calls. failure outlives the exchange. */
void farewell_request(struct exchange *exchange, const struct failure *failure);
void farewell_body(struct exchange *exchange, const void *data, size_t size);
void farewell_end(struct exchange *exchange);
void farewell_free(struct exchange *exchange);
