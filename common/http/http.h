/* HTTP/1.1 (RFC 9110, RFC 9112) over libevent, both roles, the same code in router and worker.
 *
 * A connection (http_conn) owns one socket and parses one message at a time; the owner gets the
 * head, then body bytes as they come, then the end, and sends the same way. Nothing buffers a whole
 * body: input stops while paused, output has a high-water mark that the owner must respect.
 *
 * What is refused (server role answers it, see http_conn_ops.on_error): anything that two parsers
 * could read differently. Bare LF or CR, obs-fold, space before the colon, duplicate or signed
 * Content-Length, Transfer-Encoding with Content-Length, any coding but a single final "chunked",
 * control bytes in names or values, missing or double Host in 1.1, absolute or authority targets
 * that disagree with Host, heads over the limits (431). An offered Upgrade is not taken: the request
 * is an ordinary one.
 *
 * Inside: http_parse (bytes → events, over llhttp), http_check (strictness), http_head (look-ups),
 * http_conn (life and phases) with http_receive, http_send over http_out, and http_deadline. */
#pragma once

#include "common/macro.h"
#include "common/time_util.h"

#include <event2/buffer.h>
#include <event2/event.h>

struct http_slice {
        const char *data; /* not NUL-terminated */
        size_t size;
};

struct http_header {
        struct http_slice name;  /* as received; compare with http_slice_is_nocase */
        struct http_slice value; /* without surrounding white space */
        bool is_hop_by_hop;      /* by its name alone: see http_head_is_hop_by_hop */
};

enum http_method {
        HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_OPTIONS, HTTP_PATCH, HTTP_OTHER,
};

/* A received message head. Slices point into memory owned by the connection: valid until the
 * message's on_end has returned (server role: until http_conn_end of its answer). */
struct http_head {
        enum http_method method;         /* requests */
        struct http_slice method_name;
        struct http_slice target;        /* origin-form, "/path?query", as sent; or "*" */
        unsigned status;                 /* responses */
        unsigned minor_version;          /* 0 or 1 */
        struct http_slice host;          /* requests; empty when a 1.0 request has none */
        const struct http_header *headers;
        size_t n_headers;
        bool has_body;                   /* chunked or Content-Length > 0 (responses: or until EOF) */
        bool is_chunked;
        bool has_content_length;
        bool connection_names_headers;   /* Connection lists more than close and keep-alive */
        uint64_t content_length;
        bool keep_alive;
        bool expect_continue;            /* the engine sends 100 after on_head, or when resumed if paused then */
};

bool http_slice_is(struct http_slice slice, const char *word);
bool http_slice_is_nocase(struct http_slice slice, const char *word);
bool http_slice_equal_nocase(struct http_slice a, struct http_slice b);

/* Takes the next element off a comma-separated list, without its parameters and white space; empty
 * elements are skipped. False at the end. */
bool http_list_next(struct http_slice *list, struct http_slice *ret_element);

/* The value of the only header of this name: 0; -ENOENT when absent, -EEXIST when there are several. */
int http_head_get(const struct http_head *head, const char *name, struct http_slice *ret);

/* True when a comma-separated list header (all lines together) has the token, parameters ignored,
 * case-insensitive: http_head_lists(h, "Accept", "text/event-stream"). */
bool http_head_lists(const struct http_head *head, const char *name, const char *token);

/* True for headers that end at this hop (RFC 9110 §7.6.1), those named by Connection included:
 * a proxy does not forward them. Framing headers (Content-Length, Transfer-Encoding) count. */
bool http_head_is_hop_by_hop(const struct http_head *head, const struct http_header *header);

enum http_role {
        HTTP_SERVER, /* receives requests, sends responses */
        HTTP_CLIENT, /* the reverse */
};

struct http_limits {
        size_t head_bytes_max;   /* default 32 KiB */
        unsigned headers_max;    /* default 100 */
        uint64_t body_bytes_max; /* received bodies; 0: no limit */
        size_t out_bytes_high;   /* http_conn_is_full above this; default 256 KiB */
        size_t out_bytes_low;    /* on_drained below this; default 64 KiB */
        usec_t idle_usec;        /* server: between messages, closes quietly; 0: never */
        usec_t head_usec;        /* server: first byte to end of head, then 408; 0: never */
        usec_t body_usec;        /* longest silence inside a received body; 0: never */
        usec_t write_usec;       /* longest time without progress on a non-empty output; 0: never */
};

/* Fills in the defaults written above. */
struct http_limits http_limits_default(void);

struct http_conn;

/* Callbacks run from the loop. A callback may call anything, http_conn_free of its own connection
 * included. Order per message: on_head, on_body*, on_end. */
struct http_conn_ops {
        void (*on_head)(struct http_conn *conn, const struct http_head *head, void *userdata);
        void (*on_body)(struct http_conn *conn, const void *data, size_t size, void *userdata);
        void (*on_end)(struct http_conn *conn, void *userdata);
        /* Output went below the low-water mark after http_conn_is_full was true. May be NULL. */
        void (*on_drained)(struct http_conn *conn, void *userdata);
        /* Server role only, may be NULL: the input broke a rule. status is 400, 408, 413, 431, 501
         * or 505 (500: no memory). The engine has stopped reading. The owner may send a response of
         * its own; without the callback, or if it sends none, the engine answers with a bare status;
         * then it closes. */
        void (*on_error)(struct http_conn *conn, unsigned status, const char *why, void *userdata);
        /* The connection is over: closed by the peer between messages, or by us as agreed (error 0), or
         * failed (negative errno; -ECONNRESET: the peer closed inside of a response; -EPROTO: a message
         * that broke a rule; -EFBIG: body_bytes_max; -ETIMEDOUT: a limit of http_limits). Also called,
         * with 0 or the errno, when the peer goes away while an answer is still being made. Called
         * once, nothing follows; the owner then frees it. */
        void (*on_close)(struct http_conn *conn, int error, void *userdata);
};

/* Takes a connected, non-blocking socket. limits and ops are kept by reference and must outlive it. */
int http_conn_new(struct event_base *base, int fd_consume, enum http_role role, const struct http_limits *limits,
                  const struct http_conn_ops *ops, void *userdata, struct http_conn **ret);

/* Closes the socket at once (unsent output is lost: to have it sent, http_conn_set_close
 * or http_conn_abort, and free in on_close) and frees. NULL is fine. */
struct http_conn *http_conn_free(struct http_conn *conn);
DEFINE_CLEANUP(struct http_conn, http_conn_free)

void http_conn_set_userdata(struct http_conn *conn, void *userdata);
void http_conn_set_ops(struct http_conn *conn, const struct http_conn_ops *ops, void *userdata);
int http_conn_fd(const struct http_conn *conn);

/* The head that on_head was called with, valid as long as its slices. */
const struct http_head *http_conn_head(const struct http_conn *conn);

/* Backpressure on input: while paused no callback but on_drained and on_close comes. Nesting is not
 * counted, and a new exchange begins unpaused. Server role: a peer that closes is noticed while
 * paused (within a second when it has sent more than a buffer holds); a half-close counts as one.
 * Client role: what the peer said before it closed is delivered first. */
void http_conn_pause(struct http_conn *conn);
void http_conn_resume(struct http_conn *conn);

/* ---- sending ----------------------------------------------------------------------------------
 * One message at a time: start, any number of headers, begin body, bytes, end. A head is written
 * together with the first body bytes. A server connection reads the next (pipelined) request only
 * after the end of the answer AND of the request. When the answer ends first, the owner hears no more
 * of that request (no on_body, no on_end): its rest is read and thrown away while it is small and
 * quick, else the connection is closed so that the peer can still read the answer.
 *
 * Functions return 0; -EPIPE when the connection is over (on_close is due or was called), -EALREADY
 * or -EINVAL when it is not the time for the call, -EMSGSIZE for a body that contradicts the length
 * given, -ENOMEM. No callback runs inside of them. */

enum http_framing {
        HTTP_FRAMING_NONE,    /* no body: 204, 304, 202 with Content-Length: 0, GET; HEAD answers may also
                               * give the framing that GET would have, what is sent is dropped */
        HTTP_FRAMING_LENGTH,  /* Content-Length given below */
        HTTP_FRAMING_CHUNKED, /* towards HTTP/1.0 peers: until close */
};

int http_conn_start_response(struct http_conn *conn, unsigned status);
int http_conn_start_request(struct http_conn *conn, struct http_slice method, struct http_slice target);

/* -EINVAL for a name or value that may not stand in a head (CR, LF, NUL, control bytes), and for
 * Content-Length, Transfer-Encoding and Connection, which the engine writes itself. */
int http_conn_add_header(struct http_conn *conn, const char *name, const char *value);
int http_conn_add_header_slice(struct http_conn *conn, struct http_slice name, struct http_slice value);
int http_conn_add_headerf(struct http_conn *conn, const char *name, const char *format, ...) _printf_(3, 4);

/* Ends the head. Adds Content-Length / Transfer-Encoding, and Connection: close where keep_alive is
 * off or the engine will close. length counts for HTTP_FRAMING_LENGTH only. */
int http_conn_begin_body(struct http_conn *conn, enum http_framing framing, uint64_t length);

/* Copies. Never fails for fullness: ask http_conn_is_full before reading more from a source. */
int http_conn_send(struct http_conn *conn, const void *data, size_t size);

/* Moves the contents of buffer. */
int http_conn_send_buffer(struct http_conn *conn, struct evbuffer *buffer);

/* Ends the message; flushes. Server role: then the next request is read, or the connection is
 * closed after the flush if it does not keep alive. */
int http_conn_end(struct http_conn *conn);

/* start_response + Content-Type (NULL: none) + body + end, in one. To add headers of one's own, call
 * http_conn_start_response and add them first: then status is not looked at again. */
int http_conn_respond(struct http_conn *conn, unsigned status, const char *content_type, const void *body, size_t size);

/* Whether a response head was begun for the current request: after it, no other status can be sent. */
bool http_conn_is_responding(const struct http_conn *conn);

bool http_conn_is_full(const struct http_conn *conn);
size_t http_conn_pending_bytes(const struct http_conn *conn);

/* Do not keep alive after the current message (drain of a listener, or a connection of no use). */
void http_conn_set_close(struct http_conn *conn);

/* Do not keep alive after the next answer whose head is still to come, which says so. Unlike
 * http_conn_set_close this never closes under a request that is on its way: an idle connection stays, and one
 * whose answer has begun serves one more request. */
void http_conn_announce_close(struct http_conn *conn);

/* Breaks a message whose end cannot be sent honestly: closes without the final chunk, after what was
 * queued is flushed. */
void http_conn_abort(struct http_conn *conn);

/* True when a client connection is between messages and still open: it may go to a pool. */
bool http_conn_is_idle(const struct http_conn *conn);

/* ---- accepting and connecting ---------------------------------------------------------------- */

struct http_listener;
struct sockaddr;

/* Accepts on fd (non-blocking, kept open on free when keep_fd). Stops for 100 ms on EMFILE, ENFILE, ENOBUFS,
 * ENOMEM; http_listener_pause is for admission. on_accept owns the fd. */
int http_listener_new(struct event_base *base, int fd, bool keep_fd,
                      void (*on_accept)(struct http_listener *listener, int fd, void *userdata), void *userdata,
                      struct http_listener **ret);
struct http_listener *http_listener_free(struct http_listener *listener);
DEFINE_CLEANUP(struct http_listener, http_listener_free)
void http_listener_pause(struct http_listener *listener);
void http_listener_resume(struct http_listener *listener);

/* Starts a non-blocking connect to a Unix path (at most 107 bytes) or a TCP address on 127.0.0.1 / ::1.
 * Returns the fd; -EAGAIN: the backlog of a Unix socket is full, try later. A refusal shows at once
 * as -ECONNREFUSED, or as on_close(-ECONNREFUSED) before any byte was sent. TCP sockets get TCP_NODELAY. */
int http_connect_unix(const char *path);
int http_connect_tcp(const char *address, uint16_t port);

/* Client role: true when nothing of the request begun last has left the process: it may be sent again
 * elsewhere without being done twice. */
bool http_conn_is_untouched(const struct http_conn *conn);

/* "OK", "Not Found", … for a status line. */
const char *http_status_text(unsigned status);
