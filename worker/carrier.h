/* What carries a stream just now: one HTTP answer, as JSON or as an event stream (SSE). It knows the
 * form of events and when to say something against silence, nothing of what the events mean. */
#pragma once

#include "worker/worker.h"

#define CARRIER_KEEPALIVE_USEC (15 * USEC_PER_SEC)

struct carrier;

/* What an answer to `initialize` tells in its head. */
struct carrier_session {
        const char *transport_id, *key, *attach;
        uint64_t generation;
};

/* on_silence: nothing was sent for CARRIER_KEEPALIVE_USEC (see carrier_wait); the callee says something.
 * The exchange's endpoint_data is the caller's business. */
int carrier_new(struct exchange *exchange, void (*on_silence)(void *userdata), void *userdata, struct carrier **ret);

/* Forgets the exchange, which is not touched. NULL is fine. */
struct carrier *carrier_free(struct carrier *carrier);

struct exchange *carrier_exchange(const struct carrier *carrier);

/* The next on_silence comes after wait_usec. */
void carrier_wait(struct carrier *carrier, usec_t wait_usec);

/* The head of an event stream, once; session NULL: no answer to initialize. */
void carrier_begin(struct carrier *carrier, const struct carrier_session *session);
bool carrier_is_begun(const struct carrier *carrier);

/* After carrier_begin: one message as an event, id NULL: without one; an event without content, from which
 * its client can resume and learns after how long to try (SSE, "retry"); a comment, unless the reader is
 * behind anyway. */
void carrier_event(struct carrier *carrier, const char *id, const char *message, size_t size);
void carrier_prime(struct carrier *carrier, const char *id, usec_t retry_usec);
void carrier_comment(struct carrier *carrier);

/* After carrier_begin: the first event of the HTTP+SSE transport (MCP 2024-11-05), with an event id. */
void carrier_endpoint(struct carrier *carrier, const char *id, const char *uri);

/* What the client has not taken yet. */
size_t carrier_pending_bytes(const struct carrier *carrier);
/* It should get no more before the exchange has drained. */
bool carrier_is_full(const struct carrier *carrier);

/* The ends: a whole JSON answer instead of an event stream; the proper end of an event stream; the
 * connection breaks. Each frees carrier and exchange. */
void carrier_json(struct carrier *carrier, unsigned status, const struct carrier_session *session, const char *response,
                  size_t size);
void carrier_end(struct carrier *carrier);
void carrier_abort(struct carrier *carrier);

/* Frees the carrier and hands out the exchange, to be answered otherwise. */
struct exchange *carrier_release(struct carrier *carrier);
