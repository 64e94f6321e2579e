/* `initialize`, once per backend however many clients come. The first request is forwarded as it is;
 * its result is kept, and every later client gets it with its own id, so that the backend is never
 * initialized twice. What a second client may do to the first is the server's attach policy. */
#pragma once

#include "common/jsonrpc.h"
#include "worker/call.h"
#include "worker/waiting.h"

struct client;
struct exchange;
struct failure;
struct stdio;

#define HANDSHAKE_VERSION_SIZE 32
#define HANDSHAKE_KEPT_MAX (32u * 1024) /* of an initialize that is kept */

enum handshake_state {
        HANDSHAKE_NONE,    /* no initialize was answered yet */
        HANDSHAKE_PENDING, /* the first is at the backend */
        HANDSHAKE_DONE,    /* response holds its answer */
};

struct handshake {
        enum handshake_state state;
        char *response;    /* the backend's whole answer to the first initialize */
        size_t response_size;
        char version[HANDSHAKE_VERSION_SIZE]; /* protocolVersion of that answer, "" before */
        bool had_client;   /* a client was attached before */
        bool is_initialized; /* notifications/initialized was forwarded */
        bool is_own;       /* the worker's own initialize: nobody waits for its answer */
        bool is_replayed;  /* it was another backend's before: the answer must be of own_version */
        char own_version[HANDSHAKE_VERSION_SIZE]; /* what it asks for */
        char *request;     /* the initialize at the backend, where a later one may need it (worker/revive.h) */
        size_t request_size;
        struct waiting_list waiting; /* what came while the first is at the backend */
};

void handshake_init(struct handshake *handshake);
void handshake_done(struct handshake *handshake);

/* An initialize request came in: answers now, or when the backend has. text is the request's bytes,
 * one line. */
void handshake_request(struct stdio *stdio, struct exchange *exchange, const struct jsonrpc_message *message);

/* The same for a stream that is there already. Consumes the client, which is not attached yet; the answer is
 * one of the responses due on stream. */
void handshake_begin(struct stdio *stdio, struct client *client_consume, struct stream *stream,
                     const struct jsonrpc_message *message);

/* A client that would be attached by this initialize; its Mcp-Session-Id is transport_id. */
int handshake_client(const char *transport_id, const struct jsonrpc_message *message, struct client **ret);

/* The backend answered the initialize of call. Frees the call. */
void handshake_response(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message);

/* The initialize at the backend was given up (deadline): its client is answered by the caller, who calls
 * handshake_try_next once the call is gone. Frees nothing of call. */
void handshake_given_up(struct stdio *stdio, struct call *call);
void handshake_try_next(struct stdio *stdio);

/* Sends an initialize of ours and keeps it. Without a backend to send it to the session's end follows. */
void handshake_begin_own(struct stdio *stdio, const char *text, size_t size);

/* Keeps the request for the backend's successor; one that is too large is not kept. */
int handshake_keep_request(struct handshake *handshake, struct json_slice request);

/* The backend was not initialized yet: messages for it wait (worker/adopt.h). */
bool handshake_is_due(const struct stdio *stdio);

/* Tells the backend notifications/initialized, unless it has heard it. */
void handshake_say_initialized(struct stdio *stdio);

/* Every waiting request is answered with the failure. */
void handshake_fail_all(struct stdio *stdio, const struct failure *failure);

/* True when a notification is an initialized that the backend must not get again. */
bool handshake_swallows(struct handshake *handshake, const struct jsonrpc_message *message);
