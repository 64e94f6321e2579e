/* `initialize`, once per backend however many clients come. The first request is forwarded as it is;
 * its result is kept, and every later client gets it with its own id, so that the backend is never
 * initialized twice. What a second client may do to the first is the server's attach policy. */
#pragma once

#include "common/jsonrpc.h"
#include "worker/call.h"

struct client;
struct exchange;
struct failure;
struct stdio;
struct waiting;

#define HANDSHAKE_VERSION_SIZE 32

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
        TAILQ_HEAD(, waiting) waiting; /* later requests, while the first is at the backend */
        unsigned n_waiting;
};

void handshake_init(struct handshake *handshake);
void handshake_done(struct handshake *handshake);

/* An initialize request came in: answers now, or when the backend has. text is the request's bytes,
 * one line. */
void handshake_request(struct stdio *stdio, struct exchange *exchange, const struct jsonrpc_message *message);

/* The backend answered the initialize of call. Frees the call. */
void handshake_response(struct stdio *stdio, struct call *call, const struct jsonrpc_message *message);

/* The initialize at the backend was given up (deadline): its client is answered by the caller, the
 * next one is tried. Frees nothing of call. */
void handshake_given_up(struct stdio *stdio, struct call *call);

/* Every waiting request is answered with the failure. */
void handshake_fail_all(struct stdio *stdio, const struct failure *failure);

/* True when stream belongs to a waiting request, which is then forgotten. */
bool handshake_forget_stream(struct handshake *handshake, const struct stream *stream);

/* True when a notification is an initialized that the backend must not get again. */
bool handshake_swallows(struct handshake *handshake, const struct jsonrpc_message *message);
