/* A Varlink service on a listening Unix stream socket, in the libevent loop.
 *
 * Calls of one connection are answered in order, one at a time. A handler answers at once or keeps
 * the call and answers later; a call made with "more" may be answered many times.
 *
 * Bounds: connections (a few places are kept for privileged users), bytes of one message, bytes
 * waiting for a slow reader, seconds for a half-sent message, seconds without progress of a reader.
 * Whoever passes one gets an error of the service's home interface (BadMessage, TooManyClients,
 * TooSlow, ReplyTooLarge) and loses the connection; nobody else notices. */
#pragma once

#include "common/json_writer.h"
#include "common/time_util.h"
#include "common/varlink.h"

#include <event2/event.h>
#include <sys/types.h>

struct varlink_call;
struct varlink_server;

enum varlink_type {
        VARLINK_STRING,
        VARLINK_INT,
        VARLINK_BOOL,
};

/* A parameter, checked before the handler runs. */
struct varlink_field {
        const char *name;
        enum varlink_type type;
        bool is_optional;      /* absent and null are the same */
        int64_t min, max;      /* VARLINK_INT; VARLINK_STRING: bytes */
};

enum varlink_method_flags {
        VARLINK_PRIVILEGED = 1 << 0, /* root and our own user only: it changes things */
        VARLINK_NEEDS_MORE = 1 << 1, /* a stream: refused without "more" */
};

struct varlink_method {
        const char *name;
        unsigned flags;
        const struct varlink_field *fields;
        size_t n_fields;
        /* Answers call with varlink_reply or varlink_error, now or later, exactly once. */
        void (*handler)(struct varlink_call *call, void *userdata);
};

struct varlink_service {
        const char *vendor, *product, *version, *url;
        const char *interface;   /* the home interface */
        const char *description; /* its text */
        const struct varlink_method *methods;
        size_t n_methods;
        unsigned clients_max;
        unsigned clients_reserved;  /* of these, for privileged users alone */
        size_t message_bytes_max;   /* of one call */
        size_t stream_bytes_max;    /* waiting for the reader of a stream */
        size_t reply_bytes_max;     /* of one final reply */
        usec_t message_usec;        /* for the rest of a half-sent message */
        usec_t write_usec;          /* a reader without progress */
};

/* Binds and listens on path (at most 107 bytes), mode 0666: the peer's credentials decide what a
 * caller may do. Replaces a dead socket; -EADDRINUSE when a live one is there. Returns the fd. */
int varlink_listen(const char *path);

/* Serves on listen_fd, which is kept open on free when keep_fd. service is kept by reference. */
int varlink_server_new(struct event_base *base, int listen_fd, bool keep_fd, const struct varlink_service *service,
                       void *userdata, struct varlink_server **ret);

/* Cancels every call and closes every connection; what was queued is lost. */
struct varlink_server *varlink_server_free(struct varlink_server *server);
DEFINE_CLEANUP(struct varlink_server, varlink_server_free)

/* ---- inside a handler and later, until the call is over ---------------------------------------- */

/* The checked parameters, borrowed. Absent: NULL or fallback. */
const char *varlink_call_string(const struct varlink_call *call, const char *name);
int64_t varlink_call_int(const struct varlink_call *call, const char *name, int64_t fallback);
bool varlink_call_bool(const struct varlink_call *call, const char *name, bool fallback);

bool varlink_call_wants_more(const struct varlink_call *call);
bool varlink_call_is_privileged(const struct varlink_call *call);

/* Asks for on_cancel(call, userdata) if the client leaves, is too slow or the server ends before the
 * call was answered. on_cancel must not answer; the call is gone after it. */
void varlink_call_on_cancel(struct varlink_call *call, void (*on_cancel)(struct varlink_call *call, void *userdata),
                            void *userdata);

/* Parameters of an answer are the text of one JSON object, so that what it quotes stays as it was.
 * The writer is emptied; NULL means {}. */

/* One answer of several; only when varlink_call_wants_more. -ENOBUFS: the reader is too slow, -EPIPE:
 * it left, -ENOMEM; the call is then about to be cancelled from the loop, and further answers are
 * dropped. */
int varlink_reply_continue(struct varlink_call *call, struct json_writer *parameters);

/* The answer, or the last of several: the call is over and gone. */
void varlink_reply(struct varlink_call *call, struct json_writer *parameters);

/* The answer is an error. name is complete, "interface.Error". The call is over and gone. */
void varlink_error(struct varlink_call *call, const char *name, struct json_writer *parameters);

/* varlink_error with org.varlink.service.InvalidParameter. */
void varlink_error_parameter(struct varlink_call *call, const char *parameter);
