/* One HTTP connection under test, an owner that writes down what it is told, and the raw other end
 * of the socket. */
#pragma once

#include "common/http/http.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct side {
        struct event_base *base;
        struct http_conn *conn; /* NULL once freed by a reaction */
        int peer;
        char log[4096];         /* "GET /target " body "." for each message, "!status" for on_error */
        size_t log_size;
        uint64_t body_bytes;
        bool is_closed;
        int error;
        unsigned n_drained;
        struct http_limits limits;
        /* What the owner does; NULL: nothing. */
        void (*at_head)(struct side *side);
        void (*at_body)(struct side *side);
        void (*at_end)(struct side *side);
        void (*at_error)(struct side *side);
        void (*at_drained)(struct side *side);
};

extern const struct http_conn_ops side_ops;

/* cmocka set-up and tear-down: a connection over a Unix socket pair. */
int side_setup_server(void **state);
int side_setup_client(void **state);
int side_teardown(void **state);

/* Runs everything that is ready now: on loopback that is everything. */
void side_pump(struct side *side);
void side_pump_until_closed(struct side *side);

/* The peer writes; the side handles it. */
void peer_send(struct side *side, const char *text);

/* What the peer can read now, at most 64 KiB; the text is valid until the next call. */
const char *peer_read(struct side *side);
bool peer_sees_eof(struct side *side);

/* Reads first: closing with unread bytes would be a reset. */
void peer_close(struct side *side);

/* Reactions. */
void side_respond(struct side *side); /* ANSWER */
void side_free(struct side *side);

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
#define LAST_ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
