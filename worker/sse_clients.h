/* Clients of the transport of MCP 2024-11-05, HTTP with SSE: one GET stream for everything that the client
 * hears, responses included, and POSTs that are answered 202 before anything comes of them. A client of
 * this kind lives as long as its stream: nothing resumes it.
 *
 *   GET /sse                  the stream; its first event names the address of the POSTs
 *   POST /message?sessionId=  one message; sessionId is the id that the router minted for the GET
 *
 * A client's first message is its `initialize`, which goes through handshake.c like anyone's. */
#pragma once

#include "common/jsonrpc.h"
#include "worker/worker.h"

#include <sys/queue.h>

struct client;
struct sse;
struct stdio;
struct stream;

TAILQ_HEAD(sse_list, sse);

void sse_init(struct sse_list *list);
void sse_done(struct sse_list *list); /* the streams are gone */

/* GET /sse: the request is here. */
void sse_get_end(struct stdio *stdio, struct exchange *exchange);

/* POST /message: as post_begin and post_end. */
int sse_message_begin(struct stdio *stdio, struct exchange *exchange);
void sse_message_end(struct stdio *stdio, struct exchange *exchange);

/* For handshake.c: the client whose initialize came over this stream is attached. */
void sse_attached(struct stdio *stdio, struct stream *stream, struct client *client);

/* The client is about to be freed: its stream, if it has one of this kind, ends. */
void sse_client_left(struct stdio *stdio, struct client *client);

/* The session has ended, and every call was answered: the streams end. */
void sse_end_all(struct stdio *stdio);
