/* Shared by varlink_server.c (sockets and bytes) and varlink_call.c (calls and their meaning). */
#pragma once

#include "common/varlink_server.h"

#include <event2/buffer.h>
#include <event2/listener.h>
#include <sys/queue.h>

struct varlink_server {
        struct event_base *base;
        const struct varlink_service *service;
        void *userdata;
        struct evconnlistener *listener;
        struct event *resume_event; /* accepting again after descriptors ran out */
        LIST_HEAD(, varlink_conn) conns;
        unsigned n_conns;
};

struct varlink_conn {
        LIST_ENTRY(varlink_conn) entry;
        struct varlink_server *server;
        int fd;
        bool is_privileged;
        bool is_eof;       /* the peer sends no more */
        bool is_closing;   /* flush, then close; no further call is looked at */
        bool is_dead;      /* nothing can be sent any more */
        struct event *read_event, *write_event;
        struct event *turn_event;    /* conn_turn from the loop, never from inside a handler */
        struct event *message_event; /* deadline of a half-sent message */
        struct evbuffer *in, *out;
        size_t scanned;              /* bytes of in known to hold no NUL */
        struct varlink_call *call;   /* the one being answered */
};

struct varlink_call {
        struct varlink_conn *conn;
        struct json_object *message;
        struct json_object *parameters; /* borrowed from message; NULL for none */
        bool wants_more, is_oneway;
        void (*on_cancel)(struct varlink_call *call, void *userdata);
        void *cancel_userdata;
};

/* Looks at one message: answers it, or makes it conn->call and runs its handler. */
void varlink_call_dispatch(struct varlink_conn *conn, const char *text, size_t size);

/* Tells the owner and frees. */
void varlink_call_cancel(struct varlink_call *call);

/* Queues head, the parameters (NULL: {}), tail and a NUL byte, unless out would hold more than
 * bytes_max: -ENOBUFS. -EPIPE, -ENOMEM: the connection is dead. Empties the writer. */
int varlink_conn_send(struct varlink_conn *conn, const char *head, struct json_writer *parameters, const char *tail,
                      size_t bytes_max);

/* Queues the error NAME of the home interface with a sentence and begins to close. */
void varlink_conn_refuse(struct varlink_conn *conn, const char *error, const char *why);

/* Has conn_turn run from the loop. */
void varlink_conn_wake(struct varlink_conn *conn);
