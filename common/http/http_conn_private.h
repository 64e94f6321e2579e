/* Inside of a connection, shared by its files: http_conn.c (life and phases), http_receive.c,
 * http_send.c and http_deadline.c.
 *
 * Owner callbacks run only from conn_run, which only the loop calls: a function of http.h changes
 * state, writes, and at most schedules a run. */
#pragma once

#include "common/http/http_out.h"
#include "common/http/http_parse.h"

#include <event2/event_struct.h>

enum conn_phase {
        CONN_OPEN,
        CONN_FLUSHING,  /* what is queued still leaves, then the connection ends */
        CONN_LINGERING, /* all is sent; input is thrown away until the peer has read it and closes */
        CONN_CLOSED,    /* on_close is due */
        CONN_OVER,      /* on_close was called */
};

enum conn_receiving {
        RECEIVING_NOTHING, /* between messages, or inside a head */
        RECEIVING_BODY,
        RECEIVING_DONE,    /* until the other direction is done as well */
};

enum conn_sending {
        SENDING_NOTHING,
        SENDING_HEAD,
        SENDING_BODY,
        SENDING_DONE,
};

/* Received bytes that are not parsed yet. */
struct conn_input {
        char *data;
        size_t begin, end, size;
        bool is_borrowed; /* data is the stack of conn_on_readable, else the heap's */
        bool eof;         /* nothing more comes: the peer's end, or error */
        int error;        /* 0: it said so itself */
};

struct http_conn {
        struct event_base *base;
        int fd;
        enum http_role role;
        enum conn_phase phase;
        enum conn_receiving receiving;
        enum conn_sending sending;
        const struct http_limits *limits;
        const struct http_conn_ops *ops;
        void *userdata;
        struct event read_event, write_event, timer, work;
        bool *freed; /* set by http_conn_free while conn_run runs */

        struct http_parser parser;
        struct conn_input in;
        struct http_out out;
        int close_error;

        bool is_reading;       /* read_event is added */
        bool is_writing;       /* write_event is added: the socket was full */
        bool is_writable;      /* write_event came: the run under way may write */
        bool is_due;           /* timer came: the run under way looks at the deadlines */
        bool is_timed;         /* timer is added */
        bool is_scheduled;     /* work is active, or will be after the run under way */
        bool is_paused;
        bool is_refused;       /* the input broke a rule: no more of it is parsed */
        bool is_swallowing;    /* the answer ended before the request: its rest is thrown away */
        bool is_kept_alive;    /* by what both sides said about the current message */
        bool is_close_wanted;  /* http_conn_set_close */
        bool is_close_to_announce; /* http_conn_announce_close */
        bool owes_continue;    /* the client waits for 100 before its body */
        bool was_full;         /* on_drained is due below the low-water mark */
        bool resets_on_close;  /* closing in good order would make a broken message look complete */

        /* The message being sent. */
        enum http_framing framing;
        uint64_t length_left;
        unsigned status;
        bool is_bodiless;      /* no body may follow this head: HEAD, 204, 304 */
        bool is_close_delimited;
        bool needs_length;     /* a request method for which "no body" must be said */
        bool answers_head;
        bool peer_is_1_0;

        uint64_t discarded_bytes; /* swallowed, or read while lingering */
        usec_t input_usec;     /* last bytes received, or reading resumed */
        usec_t output_usec;    /* last progress of a blocked output */
        usec_t message_usec;   /* first byte of a head that is not complete yet; 0: none */
        usec_t idle_usec;      /* end of the last exchange */
        usec_t end_usec;       /* deadline of swallowing and lingering */
};

/* http_conn.c */

/* One turn: deadlines, input, output, ends. False when a callback freed the connection. */
bool conn_run(struct http_conn *conn);
void conn_schedule(struct http_conn *conn);
void conn_flush(struct http_conn *conn);
void conn_read_start(struct http_conn *conn);
void conn_read_stop(struct http_conn *conn);

/* Ends the connection now; on_close follows from the loop. */
void conn_fail(struct http_conn *conn, int error);

/* Ends it once everything queued has left. */
void conn_finish(struct http_conn *conn);

/* Both directions may be done: begins the next exchange or ends the connection. */
void conn_settle(struct http_conn *conn);

/* http_receive.c */
void conn_on_readable(evutil_socket_t fd, short what, void *userdata);
void conn_receive(struct http_conn *conn);
void conn_input_done(struct conn_input *input);

/* Server role: tells the owner that the request is refused; answers if the owner does not. */
void conn_refuse(struct http_conn *conn, unsigned status, const char *why, int error);

/* http_send.c */
void conn_send_continue(struct http_conn *conn);

/* http_deadline.c */
void conn_on_timer(evutil_socket_t fd, short what, void *userdata);

/* Has the deadlines looked at soon enough for every limit, if that is not so already. One timer
 * serves all of them and is not touched for each message: it fires at most once per shortest limit
 * and then computes what is due. */
void conn_timer_start(struct http_conn *conn);

/* The same, in usec at the latest. */
void conn_timer_within(struct http_conn *conn, usec_t usec);

/* Acts on the deadlines that have passed. */
void conn_expire(struct http_conn *conn);

/* How often a peer is looked at whose input is not being read. */
#define CONN_PEER_CHECK_USEC USEC_PER_SEC
